"""``nexova energy tune``: search the parameters of a controller on training days, once per seed.

Validation days judge the result; the test days are never drawn here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.study import ResolvedTune
from nexova_sim.dataset.stage import Stage, is_same, staged
from nexova_sim.kernels.energy import Days, Site
from nexova_sim.run.energy import ROOMS, EnergyResult, Progress, config_text, json_text, read_summary, seal, write_texts
from nexova_sim.run.energy_start import start_models, start_paths
from nexova_sim.schedule.bids import bid_ranges, bids_cost, hand_set_rule, rule_cost, rule_ranges
from nexova_sim.schedule.context import WEIGHT_LIMIT, context_cost, n_weights
from nexova_sim.schedule.controllers import Controller
from nexova_sim.schedule.modelfile import ModelFile, dump_model, load_model, make_controller, parameter_names, site_hash
from nexova_sim.schedule.search import SearchPlan, cma_es, cross_entropy
from nexova_sim.schedule.shared import Shared, shared_cost
from nexova_sim.schedule.site import make_site
from nexova_sim.schedule.study import held_out_days, train_days

FORMAT = "nexova-energy-tune"
_AFTER_TRAINING = 2**27  # first day of a search after a training: beyond those both have drawn


def default_folder(resolved: ResolvedTune, results: Path = Path("results")) -> Path:
    """Where a search goes when no ``--out`` is given."""
    return results / "energy-tune" / resolved.tune.method / run_id(_settings(resolved), code_hash(*ROOMS))


def _settings(resolved: ResolvedTune) -> str:
    files = [hash_file(path) for path in _start_paths(resolved)]
    return hash_value([resolved.model_dump(mode="json", exclude={"folder"}), files])


def _start_methods(method: str) -> tuple[str, ...]:
    return ("ppo",) if method == "ppo_tuned" else ("bids",)


def _start_paths(resolved: ResolvedTune) -> list[Path]:
    tune = resolved.tune
    paths = start_paths(tune.start, resolved.study, resolved.folder, _start_methods(tune.method))
    for path in paths:
        _policy(tune.method, load_model(path), resolved.study.site, path)
    return paths


def outline_tune(resolved: ResolvedTune, out: Path | None = None) -> dict[str, Any]:
    """What a search would do, without doing it."""
    tune = resolved.tune
    _start_paths(resolved)
    episodes = tune.iterations * tune.population * tune.n_days
    return {
        "folder": str(out or default_folder(resolved)),
        "method": tune.method,
        "parameters": len(parameter_names(tune.method, list(resolved.study.site.kinds))),
        "seeds": len(tune.seeds),
        "training_days_per_seed": tune.iterations * tune.n_days,
        "episodes_per_seed": episodes,
    }


def tune(resolved: ResolvedTune, out: Path | None = None, overwrite: bool = False,
         progress: Progress = lambda _done, _total: None) -> EnergyResult:  # fmt: skip
    """Search with every seed and write model-<seed>.json, model.json (best on validation), history.csv, summary.json.

    A killed run keeps the seeds that were finished. Raises ConfigError for an output folder that holds something else.
    """
    hashes = (_settings(resolved), code_hash(*ROOMS))
    folder = out or default_folder(resolved)
    ident = run_id(*hashes)
    if not overwrite and is_same(folder, *hashes):
        return EnergyResult(folder, ident, read_summary(folder, "summary.json"), True)
    seeds = resolved.tune.seeds
    with staged(folder, {"config": hashes[0], "code": hashes[1]}, overwrite) as stage:
        models = []
        starts = start_models(resolved.tune.start, resolved.study, resolved.folder, len(seeds),
                              _start_methods(resolved.tune.method))  # fmt: skip
        for number, (seed, start) in enumerate(zip(seeds, starts, strict=True)):

            def tell(done: int, total: int, before: int = number) -> None:
                progress(before * total + done, len(seeds) * total)

            models.append(_one_seed(stage, resolved, seed, start, tell))
        best = min(models, key=lambda m: float(m.made["validation_usd_per_day"]))
        summary = _summary(resolved, models, best)
        texts = {"model.json": dump_model(best), "summary.json": json_text(summary),
                 "config.resolved.yaml": config_text(resolved)}  # fmt: skip
        write_texts(stage, texts)
        seal(stage, FORMAT, hashes, [*texts, *(f"{part}-{s}.{end}" for s in seeds
                                               for part, end in (("model", "json"), ("history", "csv")))])  # fmt: skip
    return EnergyResult(folder, ident, summary, False)


def _cost(method: str, start: ModelFile, policy: Controller | None, world: tuple[Site, Days], params: np.ndarray
          ) -> np.ndarray:  # fmt: skip
    """Mean cost a day of every parameter row, (c,) USD."""
    site, days = world
    n_bids = len(start.parameters)
    if method == "context":
        paid = context_cost(site, days, params[:, :n_bids], params[:, n_bids:])
    elif isinstance(policy, Shared):
        paid = shared_cost(site, days, policy, params)
    else:
        paid = bids_cost(site, days, params) if method == "bids" else rule_cost(site, days, params)
    mean: np.ndarray = paid.sum(axis=1).mean(axis=1)
    return mean


def _policy(method: str, start: ModelFile, site: SiteConfig, path: Path) -> Controller | None:
    """The trained policy whose scheduler is tuned; DataError for one that is not made of networks shared by kind."""
    if method != "ppo_tuned":
        return None
    policy = make_controller(start, site, path)
    if not isinstance(policy, Shared) or policy.weights is not None:
        raise DataError(
            f"{path}: its form is {start.form!r}, but ppo_tuned needs networks shared by kind right on "
            "the scheduler; train one with configs/energy/train_ppo.yaml"
        )
    return policy


def _search_space(method: str, n_kinds: int, start: ModelFile) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest value of what is searched, and where the search begins, (p,) each."""
    if method == "rule":
        return *rule_ranges(), hand_set_rule()
    low, high = bid_ranges(n_kinds)
    first = np.array(list(start.parameters.values()))
    if method in ("bids", "ppo_tuned"):
        return low, high, first
    zero = np.zeros(n_weights(n_kinds))
    return (np.concatenate([low, zero - WEIGHT_LIMIT]), np.concatenate([high, zero + WEIGHT_LIMIT]),
            np.concatenate([first, zero]))  # fmt: skip


def _one_seed(stage: Stage, resolved: ResolvedTune, seed: int, start: ModelFile, progress: Progress
              ) -> ModelFile:  # fmt: skip
    place = stage.folder / f"model-{seed}.json"
    if place.is_file() and (stage.folder / f"history-{seed}.csv").is_file():
        return load_model(place)
    config, study = resolved.tune, resolved.study
    site = make_site(study.site)
    policy = _policy(config.method, start, study.site, Path(f"start of seed {seed}"))
    low, high, first = _search_space(config.method, len(study.site.kinds), start)

    begin = 0 if policy is None else _AFTER_TRAINING

    def cost(x: np.ndarray, iteration: int) -> np.ndarray:
        days = train_days(site, study.study, seed, begin + iteration * config.n_days, config.n_days)
        return _cost(config.method, start, policy, (site, days), low + x * (high - low))

    search = cma_es if config.search == "cma" else cross_entropy
    plan = SearchPlan(config.iterations, config.population, config.sigma, seed)
    started = time.process_time()
    found = search(cost, (first - low) / (high - low), plan, progress)
    cpu_s = time.process_time() - started
    params = low + found.x * (high - low)
    validation = held_out_days(site, study.study, "validation")
    both = _cost(config.method, start, policy, (site, validation), np.stack([params, first]))
    names = parameter_names(config.method, list(study.site.kinds))
    made = {
        "seed": seed, "search": config.search, "iterations": config.iterations, "population": config.population,
        "days_per_iteration": config.n_days, "cpu_s": round(cpu_s, 1),
        "validation_usd_per_day": round(float(both[0]), 3), "start_usd_per_day": round(float(both[1]), 3),
        "start": start.made if config.method != "rule" else {"hand_set": True},
    }  # fmt: skip
    parameters = dict(zip(names, [round(float(v), 6) for v in params], strict=True))
    model = ModelFile(method=config.method, site_hash=site_hash(study.site), kinds=list(study.site.kinds),
                      parameters=parameters, made=made, policy=start.policy, form=start.form)  # fmt: skip
    rows = ["iteration,best_usd,mean_usd,spread", *(f"{i + 1},{b:.4f},{m:.4f},{s:.6f}"
                                                    for i, (b, m, s) in enumerate(found.history))]  # fmt: skip
    write_texts(stage, {f"history-{seed}.csv": "\n".join(rows) + "\n", place.name: dump_model(model)})
    return model


def _summary(resolved: ResolvedTune, models: list[ModelFile], best: ModelFile) -> dict[str, Any]:
    return {
        "method": resolved.tune.method,
        "site": resolved.study.site.name,
        "runs": [m.made for m in models],
        "best_seed": best.made["seed"],
        "parameters": best.parameters,
    }
