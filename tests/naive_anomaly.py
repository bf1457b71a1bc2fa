"""Slow, obvious twins of the kernels behind anomaly detection."""

from __future__ import annotations

import math

import numpy as np


def roll(machine, time_ms, values, gap_ms, size):
    """Mean, deviation and rate over each machine's last ``size`` readings, from lists kept per machine."""
    seen, last = {}, {}
    out = np.full((3 * len(values), len(machine)), np.nan)
    for i, m in enumerate(machine.tolist()):
        if m in last and time_ms[i] - last[m] > gap_ms:
            seen[m] = []
        last[m] = time_ms[i]
        window = [*seen.get(m, []), values[:, i].astype(np.float64)][-size:]
        seen[m] = window
        for c in range(len(values)):
            column = np.array([w[c] for w in window])
            known = column[~np.isnan(column)]
            if len(known):
                out[3 * c, i], out[3 * c + 1, i] = known.mean(), known.std()
            if len(window) > 1:
                out[3 * c + 2, i] = (column[-1] - column[0]) / (len(window) - 1)
    return out


def masses(column, cut, rows, window, least):
    """Scores of half-space trees with dictionaries of node masses; nothing is known at first."""
    depth = int(math.log2(column.shape[1] + 1))
    reference, latest, seen, out = {}, {}, 0, []
    for row in rows:
        total = 0.0
        for t in range(len(column)):
            k, score = 0, None
            for level in range(depth + 1):
                latest[t, k] = latest.get((t, k), 0) + 1
                mass = reference.get((t, k), 0)
                if score is None and (mass < least or level == depth):
                    score = mass * 2**level
                if level < depth:
                    k = 2 * k + (2 if row[column[t, k]] > cut[t, k] else 1)
            total += score
        out.append(total / len(column))
        seen += 1
        if seen == window:
            reference, latest, seen = latest, {}, 0
    return np.array(out)


def alarms(time_ms, ratio, quiet, hold_ms, clear_ms, clear_ratio, start_up_ms):
    """(raised, cleared or None, peak) of one machine and lane."""
    found, stands, over, under, running, last = [], None, None, 0.0, 0.0, None
    for t, r, q in zip(time_ms.tolist(), ratio.tolist(), quiet.tolist(), strict=True):
        step = 0.0 if last is None else t - last
        last = t
        if q:
            running, over = 0.0, None
            continue
        running += step
        if r >= 1.0:
            under = 0.0
            if stands is None and running >= start_up_ms:
                over = 1.0 if over is None else over + step
                if over >= hold_ms:
                    stands = [t, None, 0.0]
        else:
            over = None
        if stands is not None:
            stands[2] = max(stands[2], r)
            under = under + step if r < clear_ratio else 0.0
            if under >= max(clear_ms, 1.0):
                found.append((stands[0], t, stands[2]))
                stands, under = None, 0.0
    return found + ([(stands[0], None, stands[2])] if stands is not None else [])


def leave_past(machine, values, limit, pace):
    """Distance from a level with a trend, from dictionaries per machine and channel."""
    past = {}
    out = np.full(values.shape, np.nan)
    for i, m in enumerate(machine.tolist()):
        for c, x in enumerate(values[:, i].astype(np.float64).tolist()):
            if math.isnan(x):
                continue
            level, trend, seen = past.get((m, c), (x, 0.0, 0))
            out[c, i] = away = x - level - trend
            share = max(pace[0], 1.0 / (seen + 1.0))
            if abs(away) > limit[m][c]:
                share = share * pace[2]
                past[m, c] = level + trend + share * away, trend * (1.0 - share), seen + 1
            else:
                past[m, c] = level + trend + share * away, trend + pace[1] * share * away, seen + 1
    return out
