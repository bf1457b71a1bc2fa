"""A tuned or trained controller as a small JSON file: what it is, for which fleet, its numbers, how it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import hash_value
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.strict import Strict
from nexova_sim.schedule.bids import RULE_PARAMETERS, bid_names
from nexova_sim.schedule.context import Context, context_names
from nexova_sim.schedule.controllers import Bids, Controller, Rule
from nexova_sim.schedule.layer import Layer
from nexova_sim.schedule.refine import DECISION_STEPS, Refined, n_actions, n_inputs
from nexova_sim.schedule.shared import Shared, net_shapes, pack, width_of

FORMAT = "nexova-energy-model"
Method = Literal["rule", "bids", "context", "ppo", "sac", "ppo_alone", "sac_alone", "ppo_tuned"]
_SELF_HASH = "content_sha256"
_MOST_BYTES = 20_000_000


class PlainLayer(Strict):
    """A layer of a network: ``weight`` (out, in), ``bias`` (out,)."""

    weight: list[list[float]]
    bias: list[float]


class ModelFile(Strict):
    """A controller. ``kinds`` are the machine kinds it knows, in its order; ``made`` says how and at what cost.

    ``form`` is that of ``policy``: one network for the whole fleet, or networks shared by kind (schedule.shared).
    """

    format: Literal["nexova-energy-model"] = "nexova-energy-model"
    version: Literal[1] = 1
    method: Method
    site_hash: str
    kinds: list[str]
    parameters: dict[str, float]
    made: dict[str, Any]
    policy: list[PlainLayer] = []
    form: Literal["network", "shared"] = "network"


def site_hash(config: SiteConfig) -> str:
    """Fingerprint of the site a model was made on."""
    return hash_value(config.model_dump(mode="json"))


def parameter_names(method: str, kinds: list[str]) -> list[str]:
    """Names of the parameters of a method, in their order."""
    if method == "rule":
        return [p.name for p in RULE_PARAMETERS]
    return [*bid_names(kinds), *(context_names(kinds) if method == "context" else [])]


def _has_its_names(model: ModelFile) -> bool:
    """Whether the parameters are those of the method; shared networks may stand on a linear policy."""
    methods = (model.method, "context") if model.form == "shared" else (model.method,)
    return list(model.parameters) in [parameter_names(method, model.kinds) for method in methods]


def dump_model(model: ModelFile) -> str:
    """The text of a model file: JSON with a hash of its own content."""
    raw = model.model_dump(mode="json")
    return json.dumps({**raw, _SELF_HASH: hash_value(raw)}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def load_model(path: Path) -> ModelFile:
    """Read a model file; DataError when it is none, was changed, or names other parameters than its method has."""
    try:
        data = path.read_bytes()
        if len(data) > _MOST_BYTES:
            raise DataError(f"{path}: {len(data)} bytes are no model file of ours")
        raw = json.loads(data.decode("utf-8"))
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise DataError(f"{path}: is no model file (format {FORMAT!r} expected); 'nexova energy tune' writes them")
        own = {key: value for key, value in raw.items() if key != _SELF_HASH}
        model = ModelFile.model_validate(own)
        is_whole = raw.get(_SELF_HASH) == hash_value(own)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; give a model file or run 'nexova energy tune'"
        ) from error
    except ValidationError as error:
        raise DataError(f"{path}: damaged model file ({error.errors()[0]['msg']}); make it again") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged model file ({error}); make it again") from error
    if not is_whole:
        raise DataError(f"{path}: was changed after it was written; make it again with 'nexova energy tune'")
    if not _has_its_names(model):
        raise DataError(f"{path}: its parameters are not those of method {model.method!r}; make it again")
    return model


def make_controller(model: ModelFile, site: SiteConfig, path: Path) -> Controller:
    """The controller of a model for ``site``; DataError when it was made for a fleet of other machine kinds."""
    values = np.array(list(model.parameters.values()))
    if model.method == "rule":
        return Rule(values)
    if model.kinds != list(site.kinds):
        raise DataError(
            f"{path}: was made for a fleet of the kinds {', '.join(model.kinds)}, but site {site.name!r} has "
            f"{', '.join(site.kinds)}; tune it on this site with 'nexova energy tune'"
        )
    n_bids = len(bid_names(model.kinds))
    if model.method == "bids":
        return Bids(values)
    if model.method == "context":
        return Context(values[:n_bids], values[n_bids:])
    if model.form == "shared":
        layers = _shared_layers(model, path)
        weights = values[n_bids:] if len(values) > n_bids else None
        width = width_of(layers, len(model.kinds))
        return Shared(values[:n_bids], pack(layers), width, model.method, every=DECISION_STEPS, weights=weights)
    is_squashed = model.method.startswith("sac")
    return Refined(values, _layers(model, len(site.machines), path), model.method, is_squashed=is_squashed)


def _layers(model: ModelFile, n_machines: int, path: Path) -> tuple[Layer, ...]:
    """The network of a model, whose sizes must fit each other and ``n_machines``."""
    layers = _plain_layers(model, path)
    sizes = [n_inputs(n_machines), *(len(layer.bias) for layer in layers)]
    fits = [layer.weight.shape == (b, a) for layer, a, b in zip(layers, sizes[:-1], sizes[1:], strict=True)]
    if not layers or not all(fits) or sizes[-1] not in (n_actions(n_machines), n_actions(n_machines, True)):
        raise DataError(
            f"{path}: its network does not fit a fleet of {n_machines} machines ({sizes[0]} inputs, "
            f"{n_actions(n_machines)} outputs); train it on this site with 'nexova energy train'"
        )
    return layers


def _plain_layers(model: ModelFile, path: Path) -> tuple[Layer, ...]:
    try:
        return tuple(Layer(np.array(p.weight, np.float32), np.array(p.bias, np.float32)) for p in model.policy)
    except ValueError as error:
        raise DataError(f"{path}: the layers of its network are ragged; make it again") from error


def _shared_layers(model: ModelFile, path: Path) -> tuple[Layer, ...]:
    """The networks of a model, whose sizes must fit each other and its kinds."""
    layers, n_kinds = _plain_layers(model, path), len(model.kinds)
    shapes = net_shapes(n_kinds, width_of(layers, n_kinds)) if layers else []
    found = [layer.weight.shape for layer in layers]
    if not layers or found != shapes or any(len(layer.bias) != layer.weight.shape[0] for layer in layers):
        raise DataError(f"{path}: its networks do not fit {n_kinds} kinds of machines; make it again")
    return layers
