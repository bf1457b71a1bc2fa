"""Shifts of the scheduler's bids by small networks, one per machine kind and one for the cap.

``nets`` (flat): for every kind the network of a machine, whose inputs are its own and the site's (2 CONTEXT_IN) and
whose outputs are rate, urgency, efficient load and stock ahead; then the cap's, from the site's inputs. A network of
``width`` w is h = tanh(W1 x + b1), then W2 (h, x) + b2, stored W1 row by row, b1, W2, b2; of width 0 it is W x + b.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.energy import STEPS, Days, Site, State, advance, begin
from nexova_sim.kernels.energy_bids import Work, bid_loads
from nexova_sim.kernels.energy_context import (
    CONTEXT_IN,
    CONTEXT_OUT,
    MOST_SHIFT,
    UNIT_CAP,
    UNIT_LOAD,
    UNIT_RATE,
    UNIT_STOCK_H,
    UNIT_URGENCY,
    machine_inputs,
    site_inputs,
)
from nexova_sim.kernels.numbers import exp64

MACHINE_IN = 2 * CONTEXT_IN


@kernel
def net_size(n_in: int, n_out: int, width: int) -> int:
    """Numbers of a network."""
    return width * (n_in + 1) + n_out * (width + n_in + 1)


@kernel
def _affine(nets: np.ndarray, first: int, x: np.ndarray, sizes: tuple[int, int], out_y: np.ndarray) -> int:
    """W x + b of the layer that begins at ``first``, (in, out) being ``sizes``; the result is where the next begins."""
    n_in, n_out = sizes
    for o in range(n_out):
        total = nets[first + n_out * n_in + o]
        for a in range(n_in):
            total += nets[first + o * n_in + a] * x[a]
        out_y[o] = total
    return first + n_out * (n_in + 1)


@kernel
def _net(nets: np.ndarray, first: int, x: np.ndarray, sizes: tuple[int, int, int], scratch: np.ndarray,
         out_y: np.ndarray) -> None:  # fmt: skip
    """Outputs, limited to +-MOST_SHIFT, of the network at ``first`` of ``sizes`` (in, width, out)."""
    n_in, width, n_out = sizes
    if width > 0:
        first = _affine(nets, first, x, (n_in, width), scratch)
    for h in range(width):
        scratch[h] = 1.0 - 2.0 / (exp64(min(max(2.0 * scratch[h], -40.0), 40.0)) + 1.0)
    for a in range(n_in):
        scratch[width + a] = x[a]
    _affine(nets, first, scratch, (width + n_in, n_out), out_y)
    for o in range(n_out):
        out_y[o] = min(max(out_y[o], -MOST_SHIFT), MOST_SHIFT)


@kernel
def add_shared_shifts(site: Site, days: Days, state: State, k: int, nets: np.ndarray, width: int,
                      out_shifts: np.ndarray) -> None:  # fmt: skip
    """Add the networks' shifts at step ``k`` to ``out_shifts`` (4 m + 1, n)."""
    m = site.rated_kw.shape[0]
    x, g, own = np.empty(MACHINE_IN), np.empty(CONTEXT_IN), np.empty(CONTEXT_IN)
    scratch, y = np.empty(width + MACHINE_IN), np.empty(CONTEXT_OUT)
    size = net_size(MACHINE_IN, CONTEXT_OUT, width)
    cap = nets.shape[0] - net_size(CONTEXT_IN, 1, width)
    for i in range(out_shifts.shape[1]):
        site_inputs(site, days, state, k, i, g)
        _net(nets, cap, g, (CONTEXT_IN, width, 1), scratch, y)
        out_shifts[4 * m, i] += UNIT_CAP * y[0]
        for j in range(m):
            machine_inputs(site, days, state, (k, j, i), g, own)
            x[:CONTEXT_IN] = own
            x[CONTEXT_IN:] = g
            _net(nets, site.kind[j] * size, x, (MACHINE_IN, width, CONTEXT_OUT), scratch, y)
            out_shifts[j, i] += UNIT_RATE * y[0]
            out_shifts[m + j, i] += UNIT_URGENCY * y[1]
            out_shifts[2 * m + j, i] += UNIT_LOAD * y[2]
            out_shifts[3 * m + j, i] += UNIT_STOCK_H * y[3]


@kernel
def run_shared(site: Site, days: Days, params: np.ndarray, nets: np.ndarray, form: tuple[int, int], work: Work,
               out_paid: np.ndarray) -> None:  # fmt: skip
    """What the days cost under every parameter row of ``params`` (c, p) with the same networks: (c, N_COSTS, n) USD.

    ``form`` is (width of the networks, steps that a decision lasts).
    """
    width, every = form
    shifts = np.empty((4 * site.rated_kw.shape[0] + 1, out_paid.shape[2]))
    for c in range(params.shape[0]):
        begin(site, days, work.state)
        out_paid[c] = 0.0
        for k in range(STEPS):
            if k % every == 0:
                shifts[:] = 0.0
                add_shared_shifts(site, days, work.state, k, nets, width, shifts)
            bid_loads(site, days, work.state, k, params[c], shifts, work.loads, work.features)
            advance(site, days, k, work.loads, work.total, work.state, work.cost)
            out_paid[c] += work.cost
