"""What the rest of a day costs under the bid scheduler when its bids are moved in many ways: the look-ahead's twin."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.energy import STEPS, Days, Site, State, advance
from nexova_sim.kernels.energy_bids import Work, bid_loads


@kernel
def _place(now: State, i: int, out: State) -> None:
    """Put every lane of ``out`` where day ``i`` of ``now`` is."""
    for lane in range(out.peak_kw.shape[0]):
        out.machine[:, :, lane] = now.machine[:, :, i]
        out.peak_kw[lane] = now.peak_kw[i]


@kernel
def run_ahead(site: Site, futures: Days, now: tuple[State, int, int], params: np.ndarray, shifts: np.ndarray,
              work: Work, out_usd: np.ndarray) -> None:  # fmt: skip
    """Cost (c, n) USD of the rest of a day in each of n futures with the bids moved by every row of ``shifts``.

    ``now`` is (state, day of that state, step); ``shifts`` (c, 4 m + 1) last to the end of the day.
    """
    state, i, first = now
    n = out_usd.shape[1]
    moved = np.empty((shifts.shape[1], n))
    for c in range(shifts.shape[0]):
        for a in range(shifts.shape[1]):
            moved[a] = shifts[c, a]
        _place(state, i, work.state)
        out_usd[c] = 0.0
        for k in range(first, STEPS):
            bid_loads(site, futures, work.state, k, params, moved, work.loads, work.features)
            advance(site, futures, k, work.loads, work.total, work.state, work.cost)
            for lane in range(n):
                for part in range(work.cost.shape[0]):
                    out_usd[c, lane] += work.cost[part, lane]
