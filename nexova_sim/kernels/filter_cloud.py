"""Clouds of particles: weights, systematic resampling, spread that survives it, and what is written down of a cloud."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.filter_moves import LEAST_LOSS
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.particles import (
    N_PARTICLE,
    Q_COOLING,
    Q_ELECTRICAL,
    Q_EXTRA,
    Q_FATIGUE,
    Q_RATE,
    Q_RISE,
    Q_SHIFT,
    Q_TEMP,
    Q_VIB,
    Q_WEAR,
)
from nexova_sim.kernels.random import key_high, key_low, random_bits

# Columns of a row of output: mean, 5 %, 50 %, 95 % of the four hidden quantities, then the effective sample size and
# the share of particles with a bearing fault, with imbalance and with lost cooling.
OUT_QUANTITIES = (Q_WEAR, Q_FATIGUE, Q_ELECTRICAL, Q_TEMP)
N_QUANTITIES = 4
O_ESS, O_EXTRA, O_SHIFT, O_COOLING = 16, 17, 18, 19
N_OUT = 20
N_BINS = 128
_LEVELS = (0.05, 0.5, 0.95)


@kernel
def surprise_of(seen: np.ndarray, weight: np.ndarray, value: float, variance: float) -> float:
    """Squared distance of a reading from what the cloud expected, in units of the expected variance."""
    mean, square = 0.0, 0.0
    for i in range(seen.shape[0]):
        mean += weight[i] * seen[i]
        square += weight[i] * seen[i] * seen[i]
    return (value - mean) * (value - mean) / (max(0.0, square - mean * mean) + variance)


@kernel
def normalise(out_log: np.ndarray, out_weight: np.ndarray) -> float:
    """Weights that sum to 1 from their logarithms, which are shifted to a largest of 0; the effective sample size."""
    top = out_log[0]
    for i in range(out_log.shape[0]):
        top = max(top, out_log[i])
    total = 0.0
    for i in range(out_log.shape[0]):
        out_log[i] -= top
        out_weight[i] = exp64(out_log[i])
        total += out_weight[i]
    square = 0.0
    for i in range(out_log.shape[0]):
        out_weight[i] /= total
        square += out_weight[i] * out_weight[i]
    return 1.0 / square


@kernel
def resample(weight: np.ndarray, u: float, out_pick: np.ndarray) -> None:
    """Systematic resampling: particle i is picked floor or ceil of n times its weight times; ``u`` in (0, 1)."""
    n = weight.shape[0]
    reached, i = weight[0], 0
    for k in range(out_pick.shape[0]):
        level = (k + u) / out_pick.shape[0]
        while reached < level and i < n - 1:
            i += 1
            reached += weight[i]
        out_pick[k] = i


@kernel
def faults_of(p: np.ndarray, i: int) -> int:
    """Which faults particle ``i`` has: 1 bearing, 2 imbalance, 4 lost cooling, added up."""
    return (1 if p[Q_EXTRA, i] > 0.0 else 0) + (2 if p[Q_SHIFT, i] > 0.0 else 0) + (4 if p[Q_COOLING, i] < 1.0 else 0)


@kernel
def gather_roughened(p: np.ndarray, pick: np.ndarray, weight: np.ndarray, loss: float, roughen: float, key: np.uint64,
                     hour: int, out_p: np.ndarray) -> None:  # fmt: skip
    """The picked particles, shrunk towards the mean and moved by differences of others (same faults only).

    A draw of ``ess`` independent particles loses 1/ess of the variance each time it is drawn from again, also in
    what no reading tells; the cloud is widened by as much, as ensemble filters are (Anderson 2007).
    """
    k0, k1 = key_low(key), key_high(key)
    n = pick.shape[0]
    n_before = weight.shape[0]
    wider = 1.0 + loss
    keep = math.sqrt((1.0 - roughen * roughen) * wider)
    step = roughen * math.sqrt(0.5 * wider)
    for row in range(N_PARTICLE):
        for i in range(n):
            out_p[row, i] = p[row, pick[i]]
    if roughen <= 0.0:
        return
    mean = np.zeros(N_PARTICLE)
    for row in range(N_PARTICLE):
        for i in range(n_before):
            mean[row] += weight[i] * p[row, i]
    for i in range(n):
        bits = random_bits(k0, k1, np.uint32(hour * n + i))
        a = pick[np.int64(bits & np.uint32(0xFFFF)) % n]
        b = pick[np.int64(bits >> np.uint32(16)) % n]
        c = pick[i]
        kind = faults_of(p, a)
        if faults_of(p, b) != kind:
            continue
        own = faults_of(p, c)
        for row in (Q_TEMP, Q_WEAR, Q_FATIGUE, Q_ELECTRICAL, Q_RISE, Q_VIB, Q_RATE):
            base = mean[row] + keep * (p[row, c] - mean[row]) if own == 0 else p[row, c]
            out_p[row, i] = max(0.0, base + step * (p[row, a] - p[row, b]))
        if own == kind and own != 0:
            # A fault that is there stays there: its size moves, but not to nothing.
            for row in (Q_EXTRA, Q_SHIFT):
                if p[row, c] > 0.0:
                    out_p[row, i] = max(0.1 * p[row, c], p[row, c] + step * (p[row, a] - p[row, b]))
            if p[Q_COOLING, c] < 1.0:
                out_p[Q_COOLING, i] = min(
                    LEAST_LOSS, max(0.1, p[Q_COOLING, c] + step * (p[Q_COOLING, a] - p[Q_COOLING, b]))
                )


@kernel
def quantiles(values: np.ndarray, weight: np.ndarray, out_row: np.ndarray) -> None:
    """Weighted mean, 5 %, 50 % and 95 % into ``out_row`` (4,), from a histogram of 128 bins over mean +- 5 sd."""
    n = values.shape[0]
    mean, square = 0.0, 0.0
    low, high = values[0], values[0]
    for i in range(n):
        mean += weight[i] * values[i]
        square += weight[i] * values[i] * values[i]
        low, high = min(low, values[i]), max(high, values[i])
    sd = math.sqrt(max(0.0, square - mean * mean))
    low, high = max(low, mean - 5.0 * sd), min(high, mean + 5.0 * sd)
    out_row[0] = mean
    if high - low <= 1e-12 * max(1.0, abs(mean)):
        out_row[1], out_row[2], out_row[3] = mean, mean, mean
        return
    bins = np.zeros(N_BINS)
    per_unit = N_BINS / (high - low)
    for i in range(n):
        b = int((values[i] - low) * per_unit)
        bins[min(N_BINS - 1, max(0, b))] += weight[i]
    reached, b = 0.0, 0
    for q in range(3):
        level = _LEVELS[q]
        while b < N_BINS - 1 and reached + bins[b] < level:
            reached += bins[b]
            b += 1
        within = (level - reached) / bins[b] if bins[b] > 0.0 else 0.0
        out_row[1 + q] = low + (b + min(1.0, max(0.0, within))) / per_unit


@kernel
def write_row(p: np.ndarray, weight: np.ndarray, ess: float, out_row: np.ndarray) -> None:
    """A row of output (N_OUT,) of the cloud."""
    for q in range(N_QUANTITIES):
        quantiles(p[OUT_QUANTITIES[q]], weight, out_row[4 * q : 4 * q + 4])
    out_row[O_ESS] = ess
    out_row[O_EXTRA], out_row[O_SHIFT], out_row[O_COOLING] = 0.0, 0.0, 0.0
    for i in range(p.shape[1]):
        out_row[O_EXTRA] += weight[i] if p[Q_EXTRA, i] > 0.0 else 0.0
        out_row[O_SHIFT] += weight[i] if p[Q_SHIFT, i] > 0.0 else 0.0
        out_row[O_COOLING] += weight[i] if p[Q_COOLING, i] < 1.0 else 0.0


@kernel
def keep_cloud(p: np.ndarray, weight: np.ndarray, out_cloud: np.ndarray) -> None:
    """The cloud resampled to equal weights, (n, N_PARTICLE)."""
    pick = np.zeros(out_cloud.shape[0], np.int64)
    resample(weight, 0.5, pick)
    for i in range(pick.shape[0]):
        for row in range(N_PARTICLE):
            out_cloud[i, row] = p[row, pick[i]]
