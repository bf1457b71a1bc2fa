"""The bid schedulers a search or a training begins from: model files, or the hand-set one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import find_config
from nexova_sim.config.study import ResolvedStudy
from nexova_sim.schedule.bids import bid_names, hand_set_bids
from nexova_sim.schedule.modelfile import ModelFile, load_model, make_controller, site_hash
from nexova_sim.schedule.site import make_site


def start_paths(names: Sequence[str], study: ResolvedStudy, folder: str,
                methods: Sequence[str] = ("bids",)) -> list[Path]:  # fmt: skip
    """The model files ``names``; ConfigError or DataError when one is missing, of another fleet or method."""
    paths = [find_config(name, Path(folder)) for name in names]
    for path in paths:
        model = load_model(path)
        if model.method not in methods:
            raise ConfigError(f"start: {path} holds method {model.method!r}; needed is {' or '.join(methods)}")
        make_controller(model, study.site, path)
    return paths


def start_models(names: Sequence[str], study: ResolvedStudy, folder: str, n_seeds: int,
                 methods: Sequence[str] = ("bids",)) -> list[ModelFile]:  # fmt: skip
    """A scheduler for every seed: those of the files ``names``, or without any the hand-set one."""
    if names:
        return [load_model(path) for path in start_paths(names, study, folder, methods)]
    kinds = list(study.site.kinds)
    values = hand_set_bids(make_site(study.site), len(kinds))
    parameters = dict(zip(bid_names(kinds), (float(v) for v in values), strict=True))
    hand_set = ModelFile(method="bids", site_hash=site_hash(study.site), kinds=kinds, parameters=parameters,
                         made={"hand_set": True})  # fmt: skip
    return [hand_set] * n_seeds
