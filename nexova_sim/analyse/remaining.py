"""Remaining life as a distribution: samples of time to failure from what is known of a machine's present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.kernels.lifetime import lifetimes
from nexova_sim.kernels.particles import HOURS_PER_WEEK, N_PARTICLE, Future
from nexova_sim.kernels.rows import N_PARAMS, MachineParams

MAX_HOURS = 30 * 8766


class Lives(NamedTuple):
    """Samples of the rest of a life, (n,) each: calendar hours, running hours, failure event (-1 = none in time)."""

    rest_h: np.ndarray
    running_h: np.ndarray
    event: np.ndarray


def stack_parameters(rows: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Parameters of s situations as the kernels take them, (N_PARAMS, s) float64; keys are fields of MachineParams."""
    return np.array([[row[name] for row in rows] for name in MachineParams._fields]).reshape(N_PARAMS, len(rows))


def steady_future(mean_load: np.ndarray, duty: np.ndarray | float = 1.0, variation: np.ndarray | float = 0.0,
                  memory: np.ndarray | float = 0.6, ambient_c: np.ndarray | float = 25.0) -> Future:  # fmt: skip
    """The same load week after week: ``mean_load`` (s,) while running, for the first ``duty`` of every day.

    ``variation`` and ``memory`` are the standard deviation of the factor on the load and its AR(1) coefficient per
    hour; numbers hold for all situations. The chance of situation n is named n.
    """
    n = len(mean_load)
    running_h = np.broadcast_to(np.clip(np.round(24.0 * np.asarray(duty, float)), 0.0, 24.0), (n,))
    is_on = np.arange(HOURS_PER_WEEK)[None, :] % 24 < running_h[:, None]
    ambient = np.broadcast_to(np.asarray(ambient_c, float).reshape(-1, 1), (n, HOURS_PER_WEEK))
    return Future(
        np.where(is_on, np.asarray(mean_load, float)[:, None], 0.0),
        np.ascontiguousarray(ambient),
        np.zeros(n, np.int64),
        np.array(np.broadcast_to(np.asarray(variation, float), (n,))),
        np.array(np.broadcast_to(np.asarray(memory, float), (n,))),
        np.arange(n, dtype=np.uint64),
    )


def sample_lives(params: np.ndarray, particles: np.ndarray, situation: np.ndarray, future: Future, seed: int = 1,
                 max_hours: int = MAX_HOURS) -> Lives:  # fmt: skip
    """One sample of remaining life per particle: ``particles`` (n, N_PARTICLE), columns Q_* of ``kernels.particles``.

    ``situation`` (n,) says which column of ``params`` (N_PARAMS, s) and which row of ``future`` a particle belongs to;
    the k-th particle of a situation takes chance number k. To draw several samples from a particle, repeat it. The same
    arguments give the same samples, and particles in other situations do not matter. Raises DataError when shapes do
    not fit or a number is not finite.
    """
    n, n_situations = len(particles), params.shape[1]
    if particles.shape != (n, N_PARTICLE) or situation.shape != (n,) or len(future.week_load) != n_situations:
        raise DataError(
            f"particles {particles.shape}, situations {situation.shape}, futures {future.week_load.shape} do not fit "
            f"together; expected (n, {N_PARTICLE}), (n,), (s, {HOURS_PER_WEEK})"
        )
    if n and (situation.min() < 0 or situation.max() >= n_situations):
        raise DataError(f"situations must be 0 to {n_situations - 1}, got {situation.min()} to {situation.max()}")
    if not all(np.isfinite(a).all() for a in (params, particles, future.week_load, future.ambient_c)):
        raise DataError("parameters, particles, loads and ambient temperatures must be finite numbers")
    out = np.empty((n, 3))
    lifetimes(params, np.ascontiguousarray(particles, float), situation.astype(np.int64), draw_numbers(situation),
              future, np.uint64(seed), max_hours, out)  # fmt: skip
    return Lives(out[:, 0], out[:, 1], out[:, 2].astype(np.int64))


def draw_numbers(situation: np.ndarray) -> np.ndarray:
    """For each element how many before it have the same value, (n,) int64."""
    order = np.argsort(situation, kind="stable")
    ranked = situation[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.zeros(0, np.int64)
    lengths = np.diff(np.r_[starts, len(ranked)])
    out = np.empty(len(situation), np.int64)
    out[order] = np.arange(len(situation)) - np.repeat(starts, lengths)
    return out
