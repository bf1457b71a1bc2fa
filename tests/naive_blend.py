"""Slow, obvious twins of the kernels that weigh forecasts and calibrate their bands."""

from __future__ import annotations

import math

import numpy as np

GROUPS = ((0,), (1, 2), (3, 4, 5, 6))


def target(y, n_days, j):
    """First hour of target day ``j`` of the last ``n_days``."""
    return len(y) - (n_days - j) * 24


def pair(cell):
    """Hour of day, apart for weekdays and weekends."""
    return cell % 24 + (24 if cell // 24 >= 5 else 0)


def naive_errors(y, there, path, n_days):
    out = np.empty((len(path), 7, n_days))
    for c in range(len(path)):
        for k in range(7):
            for j in range(n_days):
                t = target(y, n_days, j)
                hours = [h for h in range(24) if there[t + h]]
                row = path[c][j + 6 - k][24 * k : 24 * k + 24]
                out[c, k, j] = sum(abs(y[t + h] - row[h]) for h in hours) / len(hours) if hours else -1.0
    return out


def naive_residuals(y, path, weight, n_days):
    out = np.empty((7, n_days, 24))
    for k in range(7):
        for j in range(n_days):
            for h in range(24):
                mixed = sum(weight[c, k] * path[c][j + 6 - k][24 * k + h] for c in range(len(path)))
                out[k, j, h] = y[target(y, n_days, j) + h] - mixed
    return out


def known(residual, there, cell):
    """(horizon day, pair, residual) of every hour that was measured."""
    n_days = residual.shape[1]
    for k in range(7):
        for j in range(n_days):
            t = len(there) - (n_days - j) * 24
            for h in range(24):
                if there[t + h]:
                    yield k, pair(cell[t + h]), residual[k, j, h]


def naive_states(y, there, cell, n_days):
    """1 for pairs whose mean over the last days is above 0.35 of the highest one's, and for pairs without data."""
    last = range(len(y) - 24 * n_days, len(y))
    own = [[abs(y[t]) for t in last if there[t] and pair(cell[t]) == p] for p in range(48)]
    mean = [sum(values) / len(values) if values else 0.0 for values in own]
    return np.array([not values or m > 0.35 * max(mean) for values, m in zip(own, mean, strict=True)], np.uint8)


def naive_scales(residual, there, cell, state, shrink):
    rows, out = list(known(residual, there, cell)), []
    for p in range(48):
        like = [abs(r) for _, q, r in rows if state[q] == state[p]]
        mean = sum(like) / max(len(like), 1)
        own = [abs(r) for _, q, r in rows if q == p]
        out.append((1 - shrink) * (sum(own) / len(own) if own else mean) + shrink * mean + 1e-4)
    return np.array(out)


def nearest(values, share):
    """Order statistic nearest to a share."""
    place = math.floor(share * (len(values) + 1) - 0.5)
    return sorted(values)[min(max(place, 0), len(values) - 1)]


def naive_factors(residual, there, cell, scale, inflate, tail):
    rows, out = list(known(residual, there, cell)), np.zeros((2, 7))
    for group in GROUPS:
        z = [r / scale[p] for k, p, r in rows if k in group]
        if z:
            for k in group:
                out[0, k] = -min(nearest(z, tail), 0.0) * inflate
                out[1, k] = max(nearest(z, 1 - tail), 0.0) * inflate
    return out
