"""The measures of the evaluation written down slowly, straight from their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np


def vus_pr(label, score, starts, widths, n_thresholds):
    """VUS-PR over machines [starts[m], starts[m+1]), threshold by threshold, width by width, cell by cell."""
    falling = sorted(score, reverse=True)
    thresholds = [falling[int(i)] for i in np.linspace(0, len(score) - 1, n_thresholds)]
    areas = []
    for width in widths:
        half = width // 2
        soft = np.zeros(len(label))
        zones = []
        for a, b in itertools.pairwise(starts):
            faults = faults_of(label, a, b)
            for first, last in faults:
                for cell in range(a, b):
                    distance = max(first - cell, cell - last)
                    if 1 <= distance <= half:
                        soft[cell] += math.sqrt(1.0 - distance / width)
            groups = []
            for first, last in faults:
                if groups and groups[-1][1] + half >= first - half:
                    groups[-1][1] = last
                else:
                    groups.append([first, last])
            zones += [(max(a, f - half), min(b - 1, e + half)) for f, e in groups]
        soft = np.where(label, 0.0, np.minimum(soft, 1.0))
        area, before = 0.0, 0.0
        for threshold in thresholds:
            predicted = score >= threshold
            hard = sum(1.0 for c in range(len(label)) if label[c] and predicted[c])
            margin = sum(soft[c] for c in range(len(label)) if predicted[c])
            touched = sum(1 for f, e in zones if predicted[f : e + 1].any())
            recall = min(1.0, (hard + margin) / (label.sum() + margin / 2.0)) * touched / len(zones)
            area += (recall - before) * (hard + margin) / predicted.sum()
            before = recall
        areas.append(area)
    return sum(areas) / len(areas)


def faults_of(label, first, end):
    """Runs of True in label[first:end] as (first cell, last cell)."""
    runs = []
    for cell in range(first, end):
        if label[cell]:
            if runs and runs[-1][1] == cell - 1:
                runs[-1][1] = cell
            else:
                runs.append([cell, cell])
    return runs


def verdicts(alarms, faults, excuses, judged, lead, tail):
    """Verdicts of alarms [(machine, raised, cleared)] and delays of faults (None = not found), rule by rule."""
    episodes = []
    for machine in {f[0] for f in faults}:
        own = sorted((f[1] - lead, f[2] + tail) for f in faults if f[0] == machine)
        for low, high in own:
            if episodes and episodes[-1][0] == machine and low < episodes[-1][2]:
                episodes[-1][2] = max(episodes[-1][2], high)
            else:
                episodes.append([machine, low, high])

    def home(machine, at):
        return next((n for n, (who, low, high) in enumerate(episodes) if who == machine and low <= at < high), None)

    said = []
    for machine, raised, _ in alarms:
        if not any(m == machine and low <= raised < high for m, low, high in judged):
            said.append("outside")
        elif home(machine, raised) is not None:
            said.append("true")
        elif any(m == machine and low <= raised < high for m, low, high in excuses):
            said.append("excused")
        else:
            said.append("false")
    delays = []
    for machine, onset, end in faults:
        mine = [
            raised
            for (who, raised, cleared), word in zip(alarms, said, strict=True)
            if word == "true" and who == machine and home(machine, raised) == home(machine, onset)
            and raised < end + tail and cleared > onset - lead
        ]  # fmt: skip
        delays.append(max(0, min(mine) - onset) if mine else None)
    return said, delays
