"""Sensors: noise and resolution on the true values, and faults of the sensors themselves as a second pass."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel, kernel_nan
from nexova_sim.kernels.random import key_high, key_low, normal, random_bits, uniform

STUCK, DRIFT, DROPOUT, SPIKE, MISSING = range(5)
SPIKE_SHARE = 0.02  # share of readings that a spiking sensor falsifies

# Adding and subtracting 1.5 * 2^23 rounds a float32 of magnitude below 2^22 to the nearest integer (ties to even) with
# plain additions, which every x86-64 has; the compiler may not reassociate them (see _jit).
_ROUND = np.float32(12582912.0)
_ZERO = np.float32(0.0)


@kernel
def quantise(value: np.float32, per_unit: np.float32) -> np.float32:
    """The nearest multiple of 1/per_unit, as the float32 nearest to its decimal value; never negative."""
    return np.float32((max(value, _ZERO) * per_unit + _ROUND) - _ROUND) / per_unit


@kernel
def read_channel(key: np.uint64, first_step: int, noise: np.ndarray, out_read: np.ndarray) -> None:
    """Turn true values into readings in place: add normal noise, round to the sensor's resolution.

    ``out_read`` (n_steps,) float32 holds the true values before; ``noise`` (3,) float32: standard deviation in the
    channel's unit, standard deviation as a fraction of the value, and resolution steps per unit. One array for both,
    because two that may overlap keep the compiler from vectorising.
    """
    k0 = key_low(key)
    k1 = key_high(key)
    absolute = noise[0]
    relative = noise[1]
    per_unit = noise[2]
    first = np.uint32(first_step)
    for k in range(out_read.shape[0]):
        v = out_read[k]
        z = normal(random_bits(k0, k1, np.uint32(first + np.uint32(k))))
        out_read[k] = quantise(v + (absolute + relative * v) * z, per_unit)


@kernel
def read_meter(per_unit: np.float32, out_read: np.ndarray) -> None:
    """An hour meter, in place: the true value cut down to its resolution of 1/per_unit; (n_steps,) float32, >= 0."""
    for k in range(out_read.shape[0]):
        out_read[k] = np.float32(np.int32(out_read[k] * per_unit)) / per_unit


@kernel_nan
def fault_channel(
    kind: int,
    span: np.ndarray,
    key: np.uint64,
    first_step: int,
    error: float,
    per_unit: np.float32,
    held: float,
    out_read: np.ndarray,
) -> float:
    """Falsify the readings of one channel inside a fault interval; returns the value a stuck sensor holds.

    ``span`` (3,) int64: first and one-past-last step of the fault, and its planned number of steps.
    ``first_step`` is the step of ``out_read[0]``. ``error`` is the fault's size in the channel's unit: a drift
    reaches it at its end, a spike has twice that. ``held`` is NaN until the fault began in an earlier chunk.
    """
    begin = max(span[0] - first_step, 0)
    end = min(span[1] - first_step, out_read.shape[0])
    k0 = key_low(key)
    k1 = key_high(key)
    for k in range(begin, end):
        # A reading that a dropout took away stays away; ``quantise`` may not see NaN.
        if kind in (DRIFT, SPIKE) and math.isnan(out_read[k]):
            continue
        if kind == STUCK:
            if math.isnan(held):
                held = out_read[k]
            out_read[k] = np.float32(held)
        elif kind == DROPOUT:
            out_read[k] = np.float32(np.nan)
        elif kind == DRIFT:
            drift = error * (first_step + k - span[0]) / span[2]
            out_read[k] = quantise(np.float32(out_read[k] + drift), per_unit)
        elif kind == SPIKE:
            u = uniform(random_bits(k0, k1, np.uint32(first_step + k)))
            if u < SPIKE_SHARE:
                sign = 1.0 if u < 0.5 * SPIKE_SHARE else -1.0
                out_read[k] = quantise(np.float32(out_read[k] + sign * 2.0 * error), per_unit)
    return held
