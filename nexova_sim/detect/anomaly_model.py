"""A fitted anomaly model as named plain arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nexova_sim.analyse.models import load_arrays
from nexova_sim.base.errors import DataError
from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.config.load import build
from nexova_sim.detect.anomaly import Model
from nexova_sim.detect.baselines import Baselines
from nexova_sim.detect.features import FeatureParams
from nexova_sim.detect.thresholds import Scale
from nexova_sim.kernels.residual import N_TWIN

KIND = "anomaly"
_OWN = "detector."


def to_arrays(model: Model) -> dict[str, np.ndarray]:
    """Everything of a model but its configuration, by name."""
    f, b = model.features, model.features.baselines
    return {
        "channels": np.array(f.channels),
        "families": np.array(f.families),
        "names": np.array(b.names),
        "kinds": np.array(b.kinds),
        "twin": b.twin,
        "usual": b.usual,
        "centre": f.centre,
        "scale": f.scale,
        "limit": model.scale.limit,
        "knots": model.scale.knots,
        "limit_names": np.array(model.scale.names),
        **{_OWN + name: np.asarray(value) for name, value in model.params.items()},
    }


def from_arrays(config: AnomalyConfig, arrays: Mapping[str, np.ndarray]) -> Model:
    """A model from what ``to_arrays`` gave; KeyError when an array is missing or of an older shape."""

    def words(name: str) -> tuple[str, ...]:
        return tuple(str(v) for v in arrays[name])

    if arrays["twin"].shape[1] != N_TWIN:
        raise KeyError("twin")
    baselines = Baselines(words("names"), arrays["twin"], words("kinds"), arrays["usual"])
    features = FeatureParams(words("channels"), words("families"), baselines, arrays["centre"], arrays["scale"])
    own = {name.removeprefix(_OWN): value for name, value in arrays.items() if name.startswith(_OWN)}
    return Model(config, features, own, Scale(arrays["limit"], arrays["knots"], words("limit_names")))


def load_anomaly_model(folder: Path) -> tuple[Model, Mapping[str, Any]]:
    """The model in ``folder`` and its manifest; DataError when it is damaged or of another kind."""
    saved = load_arrays(folder, KIND)
    config = build(AnomalyConfig, saved.manifest["config"], str(folder))
    try:
        return from_arrays(config, saved.arrays), saved.manifest
    except KeyError as error:
        raise DataError(f"{folder}: the model lacks the array {error}, or has an older one; fit it again") from error
