"""Vibration velocity, mm/s RMS (MODEL 1): proportional to load, plus heat above a knee, plus wear, plus imbalance."""

from __future__ import annotations

from nexova_sim.kernels._jit import kernel


@kernel
def vibration_mm_s(base_mm_s: float, above_knee_k: float, heat_gain: float, wear: float, wear_gain: float) -> float:
    """Vibration from its load part ``base_mm_s``, kelvin above the knee and wear in [0, 1]."""
    return base_mm_s + heat_gain * above_knee_k + wear_gain * wear
