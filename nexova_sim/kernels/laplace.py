"""Exact maximum a posteriori of many linear models with one design: normal and Laplace priors, unknown noise.

y ~ normal(X b, s), b_j ~ normal or Laplace, s ~ half-normal. The Laplace prior is handled by iteratively reweighted
least squares (Green 1984; Figueiredo 2003), the noise in closed form in every round. Eight series are solved side by
side, so that the innermost loop runs over series and keeps the order of every sum.
"""

from __future__ import annotations

import numpy as np

from nexova_sim.kernels._jit import kernel

LANES = 8
_LEAST_STEP = 1e-5
_LEAST_SQUARE = 1e-10


@kernel
def factor_lanes(matrix: np.ndarray) -> None:
    """Cholesky factor in place of the lower half of ``matrix`` (p, p, 8): every lane a system of its own."""
    p = matrix.shape[0]
    inverse = np.empty(LANES)
    for j in range(p):
        for i in range(j, p):
            # One number per lane in a register each; a small array here would be read and written every time.
            s0, s1, s2, s3 = matrix[i, j, 0], matrix[i, j, 1], matrix[i, j, 2], matrix[i, j, 3]
            s4, s5, s6, s7 = matrix[i, j, 4], matrix[i, j, 5], matrix[i, j, 6], matrix[i, j, 7]
            for k in range(j):
                s0 -= matrix[i, k, 0] * matrix[j, k, 0]
                s1 -= matrix[i, k, 1] * matrix[j, k, 1]
                s2 -= matrix[i, k, 2] * matrix[j, k, 2]
                s3 -= matrix[i, k, 3] * matrix[j, k, 3]
                s4 -= matrix[i, k, 4] * matrix[j, k, 4]
                s5 -= matrix[i, k, 5] * matrix[j, k, 5]
                s6 -= matrix[i, k, 6] * matrix[j, k, 6]
                s7 -= matrix[i, k, 7] * matrix[j, k, 7]
            row = matrix[i, j]
            row[0], row[1], row[2], row[3] = s0, s1, s2, s3
            row[4], row[5], row[6], row[7] = s4, s5, s6, s7
            if i == j:
                for lane in range(LANES):
                    inverse[lane] = 1.0 / np.sqrt(row[lane])
            for lane in range(LANES):
                row[lane] *= inverse[lane]


@kernel
def solve_lanes(matrix: np.ndarray, side: np.ndarray) -> None:
    """Solve for ``side`` (p, lanes) in place, given the factor of ``factor_lanes``."""
    p, lanes = side.shape
    for i in range(p):
        for k in range(i):
            for lane in range(lanes):
                side[i, lane] -= matrix[i, k, lane] * side[k, lane]
        for lane in range(lanes):
            side[i, lane] /= matrix[i, i, lane]
    for i in range(p - 1, -1, -1):
        for k in range(i + 1, p):
            for lane in range(lanes):
                side[i, lane] -= matrix[k, i, lane] * side[k, lane]
        for lane in range(lanes):
            side[i, lane] /= matrix[i, i, lane]


@kernel
def _noise(gram: np.ndarray, side: np.ndarray, norm: np.ndarray, n_obs: float, prior: float, theta: np.ndarray,
           out_square: np.ndarray) -> None:  # fmt: skip
    """The variance that maximises the posterior given ``theta``: a root; half-normal prior of scale ``prior``."""
    p, lanes = theta.shape
    for lane in range(lanes):
        out_square[lane] = norm[lane]
    for i in range(p):
        for lane in range(lanes):
            out_square[lane] -= 2.0 * side[i, lane] * theta[i, lane]
        for k in range(p):
            g = gram[i, k]
            for lane in range(lanes):
                out_square[lane] += theta[i, lane] * g * theta[k, lane]
    a = 1.0 / (prior * prior)
    for lane in range(lanes):
        rest = max(out_square[lane], _LEAST_SQUARE)
        # n/s - r/s^3 + a s = 0; written so that nothing cancels.
        out_square[lane] = 2.0 * rest / (n_obs + np.sqrt(n_obs * n_obs + 4.0 * a * rest))


@kernel
def _load(lane: int, i: int, side: np.ndarray, norm: np.ndarray, prior: np.ndarray, n_obs: float,
          out: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> None:  # fmt: skip
    """Put series ``i`` into a lane: its right-hand side, first weights, first noise."""
    lane_side, lane_power, weight, old, square = out
    lane_power[lane] = norm[i]
    square[lane] = max(norm[i] / n_obs * 0.05, 1e-8)
    for k in range(side.shape[1]):
        lane_side[k, lane] = side[i, k]
        weight[k, lane] = prior[0, k] if prior[1, k] == 0.0 else prior[1, k] / 0.05
        old[k, lane] = 0.0


@kernel
def _round(gram: np.ndarray, lane_side: np.ndarray, weight: np.ndarray, square: np.ndarray, out_matrix: np.ndarray,
           out_theta: np.ndarray) -> None:  # fmt: skip
    """One weighted solution in every lane."""
    p, lanes = lane_side.shape
    for i in range(p):
        for k in range(i + 1):
            for lane in range(lanes):
                out_matrix[i, k, lane] = gram[i, k]
        for lane in range(lanes):
            out_matrix[i, i, lane] += square[lane] * weight[i, lane]
            out_theta[i, lane] = lane_side[i, lane]
    factor_lanes(out_matrix)
    solve_lanes(out_matrix, out_theta)


@kernel
def solve_fleet(gram: np.ndarray, side: np.ndarray, norm: np.ndarray, prior: np.ndarray, options: np.ndarray,
                out_theta: np.ndarray, out_square: np.ndarray, out_rounds: np.ndarray) -> None:  # fmt: skip
    """Solve n series that share a design of p columns.

    ``gram`` (p, p) = X'X, ``side`` (n, p) = X'y, ``norm`` (n,) = y'y. ``prior`` (2, p): precision of a normal prior,
    or 1/tau of a Laplace prior (the other one 0). ``options``: number of observations, scale of the half-normal prior
    of the noise, most rounds, tolerance. ``out_theta`` (n, p), ``out_square`` (n,) the noise variance,
    ``out_rounds`` (n,) int64: rounds used, negative when the series settled within the tolerance. A lane that is
    done takes the next series, so a series' result does not depend on its neighbours.
    """
    n, p = side.shape
    n_obs, most, tolerance = options[0], int(options[2]), options[3]
    matrix, theta = np.empty((p, p, LANES)), np.empty((p, LANES))
    lane_side, lane_power = np.zeros((p, LANES)), np.zeros(LANES)
    weight, old = np.ones((p, LANES)), np.zeros((p, LANES))
    square, fresh = np.ones(LANES), np.ones(LANES)
    source, rounds = np.full(LANES, -1), np.zeros(LANES, np.int64)
    lanes = (lane_side, lane_power, weight, old, square)
    following = 0
    n_open = 1
    while n_open:
        n_open = 0
        for lane in range(LANES):
            if source[lane] < 0 and following < n:
                source[lane] = following
                rounds[lane] = 0
                _load(lane, following, side, norm, prior, n_obs, lanes)
                following += 1
            n_open += source[lane] >= 0
        if n_open == 0:
            break
        _round(gram, lane_side, weight, square, matrix, theta)
        _noise(gram, lane_side, lane_power, n_obs, options[1], theta, fresh)
        for lane in range(LANES):
            i = source[lane]
            if i < 0:
                continue
            moved = 0.0
            for k in range(p):
                moved = max(moved, abs(theta[k, lane] - old[k, lane]))
                old[k, lane] = theta[k, lane]
                if prior[1, k] > 0.0:
                    weight[k, lane] = prior[1, k] / max(abs(theta[k, lane]), _LEAST_STEP)
            square[lane] = fresh[lane]
            rounds[lane] += 1
            if moved < tolerance or rounds[lane] == most:
                out_theta[i] = theta[:, lane]
                out_square[i] = square[lane]
                out_rounds[i] = -rounds[lane] if moved < tolerance else rounds[lane]
                source[lane] = -1
