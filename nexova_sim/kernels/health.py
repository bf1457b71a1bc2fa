"""Health percent and risk class from the damage state (MODEL 1; weights of the platform document, section 3.5)."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel

HEALTHY = 0
WARNING = 1
CRITICAL = 2


@kernel
def health_percent(fatigue: float, wear: float, electrical: float, runtime_h: float, life_h: float) -> float:
    """100 (0.4 (1-fatigue) + 0.3 (1-wear) + 0.2 (1-electrical) + 0.1 (1-min(1, runtime/life))), each term clamped."""
    used = min(1.0, runtime_h / life_h)
    # In percent from the start: 0.4 + 0.3 + 0.2 + 0.1 is not 1 in binary, 40 + 30 + 20 + 10 is 100.
    return (
        40.0 * (1.0 - min(1.0, fatigue))
        + 30.0 * (1.0 - min(1.0, wear))
        + 20.0 * (1.0 - min(1.0, electrical))
        + 10.0 * (1.0 - used)
    )


@kernel
def risk_class(health: float) -> int:
    """HEALTHY above 80 %, WARNING above 60 %, else CRITICAL."""
    if health > 80.0:
        return HEALTHY
    return WARNING if health > 60.0 else CRITICAL


@kernel
def health_of(fatigue: np.ndarray, wear: np.ndarray, electrical: np.ndarray, runtime_h: np.ndarray, life_h: np.ndarray,
              out_percent: np.ndarray) -> None:  # fmt: skip
    """Health percent of every element; all arrays (n,) float64."""
    for i in range(out_percent.shape[0]):
        out_percent[i] = health_percent(fatigue[i], wear[i], electrical[i], runtime_h[i], life_h[i])
