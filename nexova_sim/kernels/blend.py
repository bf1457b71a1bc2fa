"""Forecast paths of several candidates combined by their recent errors, with bands calibrated on the same days.

Per day of the horizon every candidate is weighed by a softmax of its mean absolute error over the last target days
(exponentially weighted average forecasting, Cesa-Bianchi and Lugosi 2006); the band is split conformal on residuals
divided by a scale per hour of day (Lei et al. 2018), in three groups of horizon days. The scales are shrunk towards
that of all hours of high, or of low, load.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import exp64
from nexova_sim.kernels.profiles import (
    DAYS,
    HIGH,
    HOURS,
    PAIRS,
    WEEK,
    pair_of,
    smooth_paths,
    start_profile,
    start_scales,
)

# Settings of a blend, by place in its array.
KAPPA, WINSOR, INFLATE, SHRINK, TAIL = range(5)
GROUP_OF_DAY = np.array([0, 1, 1, 2, 2, 2, 2])


@kernel
def repeat_paths(y: np.ndarray, back: np.ndarray, out_median: np.ndarray, out_day: np.ndarray) -> None:
    """The candidates without parameters: median of the last four same hours of week, and yesterday repeated.

    ``back`` (t + 168, 4) holds where those hours stand. Both outputs (origins, 168): daily origins, the last the end.
    """
    n_origins = out_median.shape[0]
    for o in range(n_origins):
        t = y.shape[0] - (n_origins - 1 - o) * HOURS
        for h in range(WEEK):
            a, b, c, d = y[back[t + h, 0]], y[back[t + h, 1]], y[back[t + h, 2]], y[back[t + h, 3]]
            least = min(a, b, c, d)
            most = max(a, b, c, d)
            out_median[o, h] = (a + b + c + d - least - most) * 0.5
            out_day[o, h] = y[t - HOURS + h % HOURS]


@kernel
def day_errors(y: np.ndarray, there: np.ndarray, path: np.ndarray, out_error: np.ndarray) -> None:
    """Mean absolute error per candidate, horizon day and target day, (candidates, 7, days); -1 on a day without data.

    Every horizon day is judged on the same target days, the last ones of ``y``; ``path`` (candidates, days + 7, 168).
    """
    n_days = out_error.shape[2]
    for j in range(n_days):
        t = y.shape[0] - (n_days - j) * HOURS
        n = 0
        for h in range(HOURS):
            n += there[t + h]
        for c in range(path.shape[0]):
            for k in range(DAYS):
                # Four sums: additions that do not wait for each other, in an order that every compiler keeps.
                row = path[c, j + 6 - k, HOURS * k : HOURS * k + HOURS]
                s0 = s1 = s2 = s3 = 0.0
                for h in range(0, HOURS, 4):
                    s0 += there[t + h] * abs(y[t + h] - row[h])
                    s1 += there[t + h + 1] * abs(y[t + h + 1] - row[h + 1])
                    s2 += there[t + h + 2] * abs(y[t + h + 2] - row[h + 2])
                    s3 += there[t + h + 3] * abs(y[t + h + 3] - row[h + 3])
                out_error[c, k, j] = ((s0 + s1) + (s2 + s3)) / n if n else -1.0


@kernel
def weigh(error: np.ndarray, settings: np.ndarray, out_weight: np.ndarray) -> None:
    """Weights (candidates, 7) from ``error``; equal ones when there is no day with data.

    Errors beyond a multiple of the median count as that, so that one outage does not decide.
    """
    n_paths, _, n_days = error.shape
    means = np.empty(DAYS * n_days)
    n = 0
    for k in range(DAYS):
        for j in range(n_days):
            if error[0, k, j] >= 0.0:
                total = 0.0
                for c in range(n_paths):
                    total += error[c, k, j]
                means[n] = total / n_paths
                n += 1
    out_weight[:] = 1.0 / n_paths
    if n == 0:
        return
    cap = settings[WINSOR] * np.median(means[:n]) + 1e-6
    for k in range(DAYS):
        best = 1e30
        for c in range(n_paths):
            total = 0.0
            for j in range(n_days):
                if error[c, k, j] >= 0.0:
                    total += min(error[c, k, j], cap)
            out_weight[c, k] = total * DAYS / n
            best = min(best, out_weight[c, k])
        best = max(best, 1e-4)
        total = 0.0
        for c in range(n_paths):
            out_weight[c, k] = exp64(-settings[KAPPA] * (out_weight[c, k] / best - 1.0))
            total += out_weight[c, k]
        for c in range(n_paths):
            out_weight[c, k] /= total


@kernel
def residuals(y: np.ndarray, path: np.ndarray, weight: np.ndarray, out_residual: np.ndarray) -> None:
    """Residuals (7, days, 24) of the combined path on the target days."""
    n_days = out_residual.shape[1]
    row = np.empty(HOURS)
    for k in range(DAYS):
        for j in range(n_days):
            t = y.shape[0] - (n_days - j) * HOURS
            row[:] = 0.0
            for c in range(path.shape[0]):
                w = weight[c, k]
                for h in range(HOURS):
                    row[h] += w * path[c, j + 6 - k, HOURS * k + h]
            for h in range(HOURS):
                out_residual[k, j, h] = y[t + h] - row[h]


@kernel
def load_states(y: np.ndarray, there: np.ndarray, cell: np.ndarray, n_days: int, out_state: np.ndarray) -> None:
    """State of every pair (48,): 1 where its mean over the last ``n_days`` is above 0.35 of the highest pair's, else 0.

    A pair without data is of high load.
    """
    count = np.zeros(PAIRS)
    mean = np.zeros(PAIRS)
    for t in range(y.shape[0] - n_days * HOURS, y.shape[0]):
        if there[t]:
            p = pair_of(cell[t])
            mean[p] += abs(y[t])
            count[p] += 1.0
    most = 0.0
    for p in range(PAIRS):
        mean[p] /= max(count[p], 1.0)
        most = max(most, mean[p])
    for p in range(PAIRS):
        out_state[p] = count[p] == 0.0 or mean[p] > HIGH * most


@kernel
def cell_scales(
    residual: np.ndarray, there: np.ndarray, cell: np.ndarray, state: np.ndarray, shrink: float, out_scale: np.ndarray
) -> None:
    """Mean absolute residual per pair (48,), shrunk towards the mean of its load state; all to the end of the data."""
    n_days = residual.shape[1]
    end = there.shape[0]
    count = np.zeros(PAIRS)
    out_scale[:] = 0.0
    total = np.zeros(2)
    n = np.zeros(2)
    for k in range(DAYS):
        for j in range(n_days):
            t = end - (n_days - j) * HOURS
            for h in range(HOURS):
                if there[t + h]:
                    p = pair_of(cell[t + h])
                    size = abs(residual[k, j, h])
                    out_scale[p] += size
                    count[p] += 1.0
                    total[state[p]] += size
                    n[state[p]] += 1.0
    for p in range(PAIRS):
        mean = total[state[p]] / max(n[state[p]], 1.0)
        own = out_scale[p] / count[p] if count[p] > 0.0 else mean
        out_scale[p] = (1.0 - shrink) * own + shrink * mean + 1e-4


@kernel
def _quantile(values: np.ndarray, n: int, share: float) -> float:
    """The order statistic nearest to ``share`` of the first ``n`` values."""
    i = int(np.floor(share * (n + 1) - 0.5))
    i = min(max(i, 0), n - 1)
    return np.partition(values[:n], i)[i]


@kernel
def band_factors(
    residual: np.ndarray,
    there: np.ndarray,
    cell: np.ndarray,
    scale: np.ndarray,
    settings: np.ndarray,
    out_factor: np.ndarray,
) -> None:
    """How many cell scales the band reaches below and above per horizon day: ``out_factor`` (2, 7), both >= 0."""
    n_days = residual.shape[1]
    end = there.shape[0]
    per_scale = 1.0 / scale
    values = np.empty(residual.size)
    out_factor[:] = 0.0
    for group in range(3):
        n = 0
        for k in range(DAYS):
            if GROUP_OF_DAY[k] == group:
                for j in range(n_days):
                    t = end - (n_days - j) * HOURS
                    for h in range(HOURS):
                        if there[t + h]:
                            values[n] = residual[k, j, h] * per_scale[pair_of(cell[t + h])]
                            n += 1
        if n:
            below = -min(_quantile(values, n, settings[TAIL]), 0.0) * settings[INFLATE]
            above = max(_quantile(values, n, 1.0 - settings[TAIL]), 0.0) * settings[INFLATE]
            for k in range(DAYS):
                if GROUP_OF_DAY[k] == group:
                    out_factor[0, k] = below
                    out_factor[1, k] = above


@kernel
def blend_series(
    y: np.ndarray,
    there: np.ndarray,
    cell: np.ndarray,
    back: np.ndarray,
    rules: np.ndarray,
    settings: np.ndarray,
    out_weight: np.ndarray,
    out_band: np.ndarray,
) -> None:
    """One series of typical size 1: weights (candidates, 7), and mean, low, high in ``out_band`` (3, 168).

    ``rules`` (n, 6): a candidate of ``smooth_paths`` per row, the first entry the burn-in in hours; two candidates
    without parameters follow. The days that weigh and calibrate are the last ``settings[5]``.
    """
    n_rules = rules.shape[0]
    n_days = int(settings[5])
    n_paths = n_rules + 2
    path = np.empty((n_paths, n_days + 7, WEEK), np.float32)
    start = np.empty((2, WEEK + PAIRS))
    scale = np.empty(5)
    burn_h = int(rules[0, 0])
    start_profile(y, there, cell, burn_h, start)
    start_scales(y, there, cell, burn_h, start, scale)
    scale[4] = burn_h
    for c in range(n_rules):
        smooth_paths(y, there, cell, rules[c, 1:], start, scale, path[c])
    repeat_paths(y, back, path[n_rules], path[n_rules + 1])
    error = np.empty((n_paths, DAYS, n_days))
    day_errors(y, there, path, error)
    weigh(error, settings, out_weight)
    residual = np.empty((DAYS, n_days, HOURS))
    residuals(y, path, out_weight, residual)
    width = np.empty(PAIRS)
    factor = np.empty((2, DAYS))
    state = np.empty(PAIRS, np.uint8)
    load_states(y, there, cell, n_days, state)
    cell_scales(residual, there, cell, state, settings[SHRINK], width)
    band_factors(residual, there, cell, width, settings, factor)
    for h in range(WEEK):
        k = h // HOURS
        mean = 0.0
        for c in range(n_paths):
            mean += out_weight[c, k] * path[c, n_days + 6, h]
        size = width[pair_of(cell[y.shape[0] + h])]
        out_band[0, h] = mean
        out_band[1, h] = mean - factor[0, k] * size
        out_band[2, h] = mean + factor[1, k] * size


@kernel
def blend_fleet(
    series: np.ndarray,
    there: np.ndarray,
    cell: np.ndarray,
    back: np.ndarray,
    rules: np.ndarray,
    settings: np.ndarray,
    out_weight: np.ndarray,
    out_band: np.ndarray,
) -> None:
    """Every series of ``series`` (n, t): ``out_weight`` (n, candidates, 7), ``out_band`` (n, 3, 168) in its unit.

    ``there`` (n, t) uint8; values that are not there must be finite (filled). A series whose smallest value is not
    negative gets no negative forecast.
    """
    n_series, n_hours = series.shape
    y = np.empty(n_hours)
    third = np.empty((n_hours + 2) // 3)
    for i in range(n_series):
        for t in range(0, n_hours, 3):
            third[t // 3] = abs(series[i, t])
        size = max(_quantile(third, third.shape[0], 0.95), 1e-9)
        least = 0.0
        for t in range(n_hours):
            y[t] = series[i, t] / size
            least = min(least, y[t])
        blend_series(y, there[i], cell, back, rules, settings, out_weight[i], out_band[i])
        for q in range(3):
            for h in range(WEEK):
                value = out_band[i, q, h] * size
                out_band[i, q, h] = max(value, 0.0) if least >= 0.0 else value
