"""A wandering level behind noisy readings that may jump: exact Kalman smoother of a random walk between jumps."""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel_nan

VAGUE = 1e6  # variance of a level of which nothing is known


@kernel_nan
def find_jumps(
    x: np.ndarray, on: np.ndarray, noise_frac: float, width: int, sigmas: float, out_jump: np.ndarray
) -> None:
    """True at the first reading after a jump: the means of ``width`` readings before and after differ by ``sigmas``.

    ``x`` (n,) with NaN where nothing was read, noise proportional to the level; ``on`` (n,) bool: the level exists.
    Of neighbours that qualify the largest is taken. A level that begins or ends with ``on`` is a jump too.
    """
    n = x.shape[0]
    size = np.zeros(n)
    for k in range(n):
        out_jump[k] = k == 0 or on[k] != on[k - 1]
        before, n_before, after, n_after = 0.0, 0, 0.0, 0
        for i in range(1, width + 1):
            if k - i < 0 or not on[k - i]:
                break
            if not math.isnan(x[k - i]):
                before, n_before = before + x[k - i], n_before + 1
        for i in range(width):
            if k + i >= n or not on[k + i]:
                break
            if not math.isnan(x[k + i]):
                after, n_after = after + x[k + i], n_after + 1
        if n_before > 1 and n_after > 1:
            a, b = before / n_before, after / n_after
            sd = noise_frac * math.sqrt(a * a / n_before + b * b / n_after)
            size[k] = abs(a - b) / max(sd, 1e-12)
    for k in range(n):
        largest = size[k] > sigmas
        for i in range(1, width):
            if (k - i >= 0 and size[k - i] > size[k]) or (k + i < n and size[k + i] >= size[k]):
                largest = False
        out_jump[k] = out_jump[k] or largest


@kernel_nan
def smooth_level(
    x: np.ndarray, noise_var: np.ndarray, step_var: float, jump: np.ndarray, out_level: np.ndarray
) -> None:
    """Mean of the level given all readings between two jumps (Rauch, Tung, Striebel 1965).

    ``x`` (n,) readings, NaN = none; ``noise_var`` (n,) of each; ``step_var`` of the walk per reading; ``jump`` (n,)
    bool forgets what came before. ``out_level`` (n,).
    """
    n = x.shape[0]
    mean, var = np.empty(n), np.empty(n)
    for k in range(n):
        if jump[k] or k == 0:
            m, v = 0.0, VAGUE
        else:
            m, v = mean[k - 1], var[k - 1] + step_var
        if not math.isnan(x[k]):
            gain = v / (v + noise_var[k])
            m, v = m + gain * (x[k] - m), v * (1.0 - gain)
        mean[k], var[k] = m, v
    for back in range(n):
        k = n - 1 - back
        if k == n - 1 or jump[k + 1]:
            out_level[k] = mean[k]
        else:
            pull = var[k] / (var[k] + step_var)
            out_level[k] = mean[k] + pull * (out_level[k + 1] - mean[k])
