"""What is normal, learnt robustly from history: of each machine, of each kind, for machines never seen.

History may hold faults, so everything here is a median, a median absolute deviation or a clipped fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from nexova_sim.dataset.grid import TimeGrid
from nexova_sim.dataset.rows import Rows
from nexova_sim.detect.surroundings import CELLS, Surroundings, last_ambient, local_cells
from nexova_sim.kernels.residual import (
    A_LEARNT_H,
    A_LEVEL,
    A_LOAD_FRAC,
    A_REF_KW,
    A_RISE_K,
    A_SIGMA_POWER,
    A_SIGMA_TEMP,
    A_SIGMA_VIB,
    A_STEP_H,
    A_TAU_H,
    A_VIB_BASE,
    A_VIB_GAIN,
    N_TWIN,
)

MAD = 1.4826  # standard deviation of a normal variable per median absolute deviation
FLEET = "*"
_HOUR_MS = 3_600_000
_FULL = 0.999
_STEPS = 5_000  # steps of a machine from which its usual one is known
_LEAST = 24  # hours of a machine, machines or cells below which a wider group speaks


class Baselines(NamedTuple):
    """Fitted normality. ``names``: machines, then "kind:K", then "*"; ``twin`` (names, N_TWIN); ``usual`` (kinds, 48).

    ``kinds``: row names of ``usual``, the last one "*": log of the load in a cell of the week against the machine's
    median.
    """

    names: tuple[str, ...]
    twin: np.ndarray
    kinds: tuple[str, ...]
    usual: np.ndarray


def _median(values: np.ndarray, other: float) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else other


def noise_of(rows: Rows, ref_kw: np.ndarray) -> dict[int, np.ndarray]:
    """Robust standard deviation of a single reading by machine code: (3,) relative power, temperature K, vibration.

    From differences of neighbouring readings while ONLINE, so that slow changes do not count.
    """
    found = {}
    for m in np.unique(rows.machine):
        mine = (rows.machine == m) & (rows.status == 0)
        v = rows.values[:, mine].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            v[0] = np.log(np.where(v[0] > 0.05 * ref_kw[m], v[0], np.nan))
        steps = np.diff(v, axis=1)
        sigma = np.full(3, np.nan)
        for c in range(3):
            d = steps[c][np.isfinite(steps[c])]
            if len(d) >= _LEAST:
                sigma[c] = MAD * float(np.median(np.abs(d - np.median(d)))) / np.sqrt(2.0)
        found[int(m)] = sigma
    return found


def usual_step_h(batches: Iterable[Rows], n_machines: int) -> np.ndarray:
    """Median time between neighbouring readings of each machine, (m,) hours; NaN where none are known.

    The first readings of each machine speak for all of them.
    """
    steps: list[list[np.ndarray]] = [[] for _ in range(n_machines)]
    seen = np.zeros(n_machines, np.int64)
    for rows in batches:
        order = np.argsort(rows.machine, kind="stable")
        machine, step = rows.machine[order], np.diff(rows.time_ms[order])
        same = machine[1:] == machine[:-1]
        for m in np.unique(machine[1:][same]):
            if seen[m] < _STEPS:
                found = step[same & (machine[1:] == m)][:_STEPS]
                steps[m].append(found)
                seen[m] += len(found)
        if (seen >= _STEPS).all():
            break
    return np.array([float(np.median(np.concatenate(s))) / _HOUR_MS if s else np.nan for s in steps])


class Hourly(NamedTuple):
    """Hourly means of m machines over b hours, (m, b): load, temperature rise over ambient, vibration, weekly cell.

    NaN where the machine did not run the whole hour; ``is_calm``: the hour before was like it.
    """

    load: np.ndarray
    rise_k: np.ndarray
    vibration_mm_s: np.ndarray
    cell: np.ndarray
    is_calm: np.ndarray


def hourly_of(grid: TimeGrid, around: Surroundings, ref_kw: np.ndarray) -> Hourly:
    """Hours in which a machine ran throughout, from the grid of hours."""
    m, b = grid.online_frac.shape
    machine = np.repeat(np.arange(m), b)
    time_ms = np.tile(grid.start_ms + np.arange(b, dtype=np.int64) * grid.step_ms, m)
    # The hour itself: history is complete, and the mean of that hour is what heated the machine.
    ambient = last_ambient(around, machine, time_ms + _HOUR_MS).reshape(m, b)
    ambient = np.where(np.isfinite(ambient), ambient, np.nan) if around.ambient_c.size else np.zeros((m, b))
    on = grid.online_frac > _FULL
    load = np.where(on, grid.mean[0] / ref_kw[:, None], np.nan).astype(np.float64)
    calm = np.zeros((m, b), bool)
    with np.errstate(invalid="ignore"):
        calm[:, 1:] = np.abs(load[:, 1:] - load[:, :-1]) < 0.1
    rise = np.where(on, grid.mean[1] - ambient, np.nan)
    return Hourly(load, rise, np.where(on, grid.mean[2], np.nan), local_cells(around, machine, time_ms).reshape(m, b),
                  calm)  # fmt: skip


def reference_kw(grid: TimeGrid, around: Surroundings) -> np.ndarray:
    """Power that counts as load 1, (m,) kW: the name plate's, else the 95th percentile of the running hours."""
    with np.errstate(invalid="ignore"):
        mean = np.where(grid.online_frac > _FULL, grid.mean[0], np.nan)
    own = np.array([np.nanpercentile(row, 95) if np.isfinite(row).any() else np.nan for row in mean])
    ref = np.where(np.isfinite(around.ref_kw), around.ref_kw, own)
    return np.where(ref > 0.0, ref, 1.0)


def slope_of(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of y on x within rows (m, b): row medians taken away, then least squares with misses clipped five times."""
    with np.errstate(invalid="ignore"):
        enough = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(enough, x, np.nan), np.where(enough, y, np.nan)
    rows = enough.sum(axis=1) >= _LEAST
    if not rows.any():
        return 0.0
    dx = (x[rows] - np.nanmedian(x[rows], axis=1)[:, None])[enough[rows]]
    dy = (y[rows] - np.nanmedian(y[rows], axis=1)[:, None])[enough[rows]]
    if float(dx @ dx) < 1e-6 * len(dx):
        return 0.0
    slope = 0.0
    for _ in range(5):
        miss = dy - slope * dx
        limit = 2.5 * MAD * float(np.median(np.abs(miss))) + 1e-9
        slope += float(dx @ np.clip(miss, -limit, limit)) / float(dx @ dx)
    return slope


def fit_baselines(hourly: Hourly, around: Surroundings, ref_kw: np.ndarray, noise: Mapping[int, np.ndarray],
                  tau_h: Mapping[str, float], step_h: np.ndarray | None = None) -> Baselines:  # fmt: skip
    """Baselines of every machine, every kind and the fleet, from hourly means (m, b).

    A machine that ran less than a day gets its kind's; ``tau_h`` by kind, "*" for kinds that are not in it;
    ``step_h`` (m,) usual time between readings.
    """
    kinds = tuple(sorted(set(around.kind)))
    kind_at = np.array([kinds.index(k) for k in around.kind])
    m = len(around.machine_ids)
    own = np.full((m, N_TWIN), np.nan)
    own[:, A_REF_KW] = ref_kw
    own[:, A_STEP_H] = np.nan if step_h is None else step_h
    sigma = np.array([noise.get(i, np.full(3, np.nan)) for i in range(m)])
    own[:, [A_SIGMA_POWER, A_SIGMA_TEMP, A_SIGMA_VIB]] = sigma
    usual = np.zeros((len(kinds) + 1, CELLS))
    for k, kind in enumerate([*kinds, FLEET]):
        mine = (kind_at == k) if k < len(kinds) else np.ones(m, bool)
        typical = np.nanmedian(hourly.load[mine]) if np.isfinite(hourly.load[mine]).any() else 1.0
        usual[k] = _weekly(hourly.load[mine], hourly.cell[mine], 0.5 * typical)
        if k < len(kinds):
            own[mine, A_TAU_H] = tau_h.get(kind, tau_h[FLEET])
            own[mine, A_VIB_GAIN] = max(0.0, slope_of(hourly.load[mine], hourly.vibration_mm_s[mine]))
            own[mine, A_LOAD_FRAC] = 0.5 * typical
    for i in range(m):
        with np.errstate(invalid="ignore", divide="ignore"):
            load = hourly.load[i]
            loaded = load > own[i, A_LOAD_FRAC]
            ratio = np.where(hourly.is_calm[i] & (load > 0.2), hourly.rise_k[i] / load, np.nan)
            own[i, A_RISE_K] = _enough(ratio)
            own[i, A_VIB_BASE] = _enough(hourly.vibration_mm_s[i] - own[i, A_VIB_GAIN] * load)
            own[i, A_LEVEL] = _enough(np.where(loaded, np.log(load) - usual[kind_at[i]][hourly.cell[i]], np.nan))
    return _with_groups(own, kinds, kind_at, around.machine_ids, usual)


def _enough(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) >= _LEAST else np.nan


def _weekly(load: np.ndarray, cell: np.ndarray, least: float) -> np.ndarray:
    """Median log load by weekly cell against each machine's own median, (48,); 0 where nothing is known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        log = np.where(load > least, np.log(load), np.nan)
    known = np.isfinite(log)
    rows = known.sum(axis=1) >= _LEAST
    if not rows.any():
        return np.zeros(CELLS)
    log, cell, known = log[rows], cell[rows], known[rows]
    log = log - np.nanmedian(log, axis=1)[:, None]
    return np.array([_median(log[known & (cell == c)], 0.0) for c in range(CELLS)])


_DEFAULT = {A_RISE_K: 30.0, A_VIB_BASE: 0.0, A_LEVEL: 0.0, A_SIGMA_POWER: 0.1, A_SIGMA_TEMP: 1.0, A_SIGMA_VIB: 0.1,
            A_VIB_GAIN: 0.0, A_LOAD_FRAC: 0.3, A_TAU_H: 0.5, A_REF_KW: 1.0}  # fmt: skip
_FLOOR = {A_SIGMA_POWER: 1e-3, A_SIGMA_TEMP: 0.02, A_SIGMA_VIB: 1e-3}


def _with_groups(own: np.ndarray, kinds: tuple[str, ...], kind_at: np.ndarray, ids: tuple[str, ...],
                 usual: np.ndarray) -> Baselines:  # fmt: skip
    """Add the medians of kinds and fleet, fill the machines' gaps from them, and say who has learnt."""
    fleet = np.array([_median(own[:, p], _DEFAULT.get(p, 0.0)) for p in range(N_TWIN)])
    groups = np.array([[_median(own[kind_at == k, p], fleet[p]) for p in range(N_TWIN)] for k in range(len(kinds))])
    learnt = np.isfinite(own[:, [A_RISE_K, A_VIB_BASE, A_LEVEL]]).all(axis=1)
    own = np.where(np.isfinite(own), own, groups[kind_at])
    twin = np.vstack([own, groups, fleet[None]])
    for p, low in _FLOOR.items():
        twin[:, p] = np.maximum(twin[:, p], low)
    twin[:, A_LEARNT_H] = 0.0
    twin[: len(own), A_LEARNT_H] = np.where(learnt, 1e4, 0.0)
    names = (*ids, *(f"kind:{k}" for k in kinds), FLEET)
    return Baselines(names, twin, (*kinds, FLEET), usual)


def choose_twin(fitted: Baselines, around: Surroundings) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (m, N_TWIN) and row of ``usual`` (m,) for the machines of a dataset, known or never seen.

    A machine never seen starts from its kind, or the fleet, and from its own name plate.
    """
    place = {name: i for i, name in enumerate(fitted.names)}
    rows = []
    for ident, kind, ref in zip(around.machine_ids, around.kind, around.ref_kw, strict=True):
        row = fitted.twin[place.get(ident, place.get(f"kind:{kind}", place[FLEET]))].copy()
        if ident not in place and np.isfinite(ref):
            row[A_REF_KW] = ref
        rows.append(row)
    at = {kind: i for i, kind in enumerate(fitted.kinds)}
    return np.array(rows).reshape(-1, N_TWIN), np.array([at.get(k, at[FLEET]) for k in around.kind], np.int64)
