"""Particles and parameters of machine kinds for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nexova_sim.config.load import load_kind
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.kernels.particles import N_PARTICLE, Q_COOLING, Q_RATE, Q_RISE, Q_TEMP, Q_VIB

KINDS = Path(__file__).resolve().parent.parent / "configs/kind"


def parameters(kind: str = "pump", **edits: float) -> dict[str, float]:
    """Nominal parameters of a kind without random failures, with ``edits``."""
    return {**nominal_parameters(load_kind(kind, KINDS)), "weibull_scale_h": 1e15, **edits}


def new_particles(row: Mapping[str, float], n: int, temp_c: float = 25.0) -> np.ndarray:
    """``n`` new machines just as their parameters say."""
    out = np.zeros((n, N_PARTICLE))
    out[:, Q_TEMP], out[:, Q_COOLING] = temp_c, 1.0
    out[:, Q_RISE], out[:, Q_VIB], out[:, Q_RATE] = row["rise_k"], row["vib_rated_mm_s"], row["wear_per_mm_s_h"]
    return out
