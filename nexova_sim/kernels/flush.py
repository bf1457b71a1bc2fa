"""From tiles, machines side by side, to rows, each machine's time in one piece."""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel


@kernel
def flush_steps(tile: np.ndarray, n: int, row: int, out_rows: np.ndarray) -> None:
    """Turn the first ``n`` steps of a tile (TILE, LANES) into columns ``row``... of ``out_rows`` (n_lanes, n_rows)."""
    n_lanes = out_rows.shape[0]
    for k in range(n):
        for j in range(n_lanes):
            out_rows[j, row + k] = tile[k, j]


@kernel
def flush_slots(tile: np.ndarray, rate: np.ndarray, n: int, n_steps: int, row: int, out_rows: np.ndarray) -> None:
    """The same for values of whole slots: tile + rate k at step k of ``n_steps``; tile and rate (n_slots, LANES)."""
    n_lanes = out_rows.shape[0]
    for s in range(n):
        for k in range(n_steps):
            at = row + s * n_steps + k
            for j in range(n_lanes):
                out_rows[j, at] = tile[s, j] + rate[s, j] * k


@kernel
def flush_codes(tile: np.ndarray, n: int, n_steps: int, row: int, out_rows: np.ndarray) -> None:
    """The same for codes of whole slots; tile (n_slots, LANES) int8."""
    n_lanes = out_rows.shape[0]
    for s in range(n):
        for k in range(n_steps):
            at = row + s * n_steps + k
            for j in range(n_lanes):
                out_rows[j, at] = tile[s, j]
