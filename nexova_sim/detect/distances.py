"""Distances from normal: robust z of the rolling mean, MEWMA, PCA T2/Q.

Normality is fitted with medians and clipped values, so faults in history weigh little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nexova_sim.config.anomaly import AnomalyConfig
from nexova_sim.detect.baselines import MAD
from nexova_sim.detect.detector import MACHINE_LANE, Batch, Component, Found, Params, filled
from nexova_sim.kernels.windows import gather_rows

_CLIP = 4.0


def centre_scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust standard deviation of each row of (f, n), NaN left out; scale 1 where nothing varies."""
    centre, scale = np.zeros(len(features)), np.ones(len(features))
    for i, row in enumerate(features):
        known = row[np.isfinite(row)].astype(np.float64)
        if len(known):
            centre[i] = np.median(known)
            spread = MAD * np.median(np.abs(known - centre[i]))
            scale[i] = spread if spread > 1e-9 else (known.std() or 1.0)
    return centre, scale


def standard(params: Params, features: np.ndarray) -> np.ndarray:
    """Features in robust standard deviations from their medians, missing ones at 0; (f, n) float64."""
    return filled((features - params["centre"][:, None]) / params["scale"][:, None])


def covariance(z: np.ndarray, shrink: float) -> np.ndarray:
    """Covariance (f, f) of z (f, n) clipped at four sigmas, shrunk towards its diagonal."""
    c = np.cov(np.clip(z, -_CLIP, _CLIP)) if z.shape[0] > 1 else np.array([[float(np.var(np.clip(z, -_CLIP, _CLIP)))]])
    diagonal = np.diag(np.maximum(np.diag(c), 1e-6))
    return (1.0 - shrink) * c + shrink * diagonal


def rows_of(names: tuple[str, ...], family: str) -> np.ndarray:
    """Places of the features of ``family``; all of them when the model has none of it."""
    found = [i for i, name in enumerate(names) if name.endswith(f".{family}")]
    return np.array(found or range(len(names)), np.int64)


@dataclass(frozen=True)
class RobustZ:
    """Root mean square over channels of the rolling mean in robust standard deviations."""

    name: str = "robust_z"

    def components(self) -> tuple[Component, ...]:
        """One."""
        return (Component(self.name, "machine", MACHINE_LANE, "far from its usual level"),)

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Median and spread of every channel's rolling mean."""
        rows = rows_of(names, "mean")
        centre, scale = centre_scale(features[rows])
        return {"rows": rows, "centre": centre, "scale": scale}

    def start(self, params: Params, n_machines: int) -> Params:
        """No state: the window is in the features."""
        return {}

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """Distance now; the driver is the channel that is farthest."""
        z = standard(params, batch.features[params["rows"]])
        driver = params["rows"][np.abs(z).argmax(axis=0)].astype(np.int16)
        return state, Found(np.sqrt(np.mean(z * z, axis=0, keepdims=True)).astype(np.float32), driver)


@dataclass(frozen=True)
class Mewma:
    """Multivariate exponentially weighted moving average (Lowry et al., Technometrics 34, 1992): T2 of the mean."""

    name: str = "mewma"

    def components(self) -> tuple[Component, ...]:
        """One."""
        return (Component(self.name, "machine", MACHINE_LANE, "channels moved together from their usual levels"),)

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Medians, spreads and the inverse of the shrunk covariance of normalised values."""
        rows = rows_of(names, "z")
        centre, scale = centre_scale(features[rows])
        z = standard({"centre": centre, "scale": scale}, features[rows])
        weight = config.mewma.weight
        inverse = np.linalg.inv(covariance(z, config.mewma.shrink) * weight / (2.0 - weight))
        return {"rows": rows, "centre": centre, "scale": scale, "inverse": inverse, "weight": np.array([weight])}

    def start(self, params: Params, n_machines: int) -> Params:
        """Every machine at its usual level."""
        return {"mean": np.zeros((n_machines, len(params["rows"])))}

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """T2 = m' S^-1 m; the driver is the channel with the largest term."""
        z = standard(params, batch.features[params["rows"]]).astype(np.float32)
        mean, out = state["mean"].copy(), np.empty_like(z)
        gather_rows(batch.machine, z, float(params["weight"][0]), mean, out)
        part = out * (params["inverse"] @ out)
        driver = params["rows"][part.argmax(axis=0)].astype(np.int16)
        return {"mean": mean}, Found(np.maximum(part.sum(axis=0, keepdims=True), 0.0).astype(np.float32), driver)


@dataclass(frozen=True)
class PcaT2Q:
    """Principal components of all features: T2 inside the kept ones, Q (squared prediction error) outside."""

    name: str = "pca_t2q"

    def components(self) -> tuple[Component, ...]:
        """T2 and Q, in one lane."""
        return (
            Component("pca_t2", "machine", MACHINE_LANE, "unusual, though its channels fit together"),
            Component("pca_q", "machine", MACHINE_LANE, "its channels do not fit together as usual"),
        )

    def fit(self, features: np.ndarray, names: tuple[str, ...], config: AnomalyConfig) -> Params:
        """Eigenvectors of the clipped covariance that explain the asked share of the variance."""
        centre, scale = centre_scale(features)
        value, vector = np.linalg.eigh(covariance(standard({"centre": centre, "scale": scale}, features), 0.0))
        value, vector = np.maximum(value[::-1], 1e-9), vector[:, ::-1]
        kept = int(np.searchsorted(np.cumsum(value) / value.sum(), config.pca.explained_frac)) + 1
        kept = min(kept, max(1, len(value) - 1))
        return {"centre": centre, "scale": scale, "value": value[:kept], "vector": vector[:, :kept]}

    def start(self, params: Params, n_machines: int) -> Params:
        """No state."""
        return {}

    def step(self, params: Params, state: Params, batch: Batch) -> tuple[Params, Found]:
        """T2 and Q; the driver is the feature with the largest term of the sum of both, each over its mean."""
        z = standard(params, batch.features)
        part = params["vector"].T @ z
        rest = z - params["vector"] @ part
        t2 = np.sum(part * part / params["value"][:, None], axis=0)
        driver = np.abs(rest).argmax(axis=0).astype(np.int16)
        return state, Found(np.stack([t2, np.sum(rest * rest, axis=0)]).astype(np.float32), driver)
