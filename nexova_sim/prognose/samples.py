"""One machine's readings on an even grid of time, with the load behind its noisy meter and the ambient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.calibrate import CalibrateConfig
from nexova_sim.config.kinds import KindConfig
from nexova_sim.dataset.read import Dataset
from nexova_sim.dataset.rows import read_rows
from nexova_sim.kernels.smooth import find_jumps, smooth_level
from nexova_sim.prognose.hours import HOUR_MS, ambient_by_machine

_MOST_SAMPLES = 5_000_000
_LAG_S = 1800.0
_MEDIAN_OF_NORMAL = 0.6744897501960817
_ONLINE = 0


class Samples(NamedTuple):
    """n readings every ``step_h`` hours, (n,) each: ``hour`` since the first; NaN where a sensor said nothing.

    ``is_on``: running; ``load`` what the meter says over rated power; ``level`` the load behind its noise, 0 while off;
    ``ambient_c`` NaN where unknown; ``piece`` numbers the stretches between jumps of the load. The meter's noise is
    ``load_noise_frac`` of the load, with its standard error.
    """

    step_h: float
    hour: np.ndarray
    is_on: np.ndarray
    load: np.ndarray
    level: np.ndarray
    temp_c: np.ndarray
    vib_mm_s: np.ndarray
    ambient_c: np.ndarray
    piece: np.ndarray
    load_noise_frac: float
    load_noise_se: float


class Level(NamedTuple):
    """The load behind the noise: ``level`` (n,), ``piece`` (n,) its number between jumps, the noise and its error."""

    level: np.ndarray
    piece: np.ndarray
    noise_frac: float
    noise_se: float


def read_samples(dataset: Dataset, machine: str, kind: KindConfig, config: CalibrateConfig) -> Samples:
    """The readings of ``machine``; DataError when they are too few, too short or a channel is constant."""
    rows = read_rows(dataset, machines=[machine])
    steps = np.diff(rows.time_ms)
    if len(steps) < config.least_readings:
        raise DataError(
            f"machine {machine}: {len(rows.time_ms)} readings are too few to fit anything; "
            f"{config.least_readings + 1} are needed"
        )
    step_ms = max(1, int(np.median(steps)))
    place = (rows.time_ms - rows.time_ms[0]) // step_ms
    n = int(place[-1]) + 1
    if n > _MOST_SAMPLES:
        raise DataError(f"machine {machine}: {n} readings do not fit; split the dataset in time first")
    if n * step_ms < config.least_hours * HOUR_MS:
        raise DataError(
            f"machine {machine}: readings over {n * step_ms / HOUR_MS:.1f} h are too short to fit anything; "
            f"{config.least_hours:g} h are needed"
        )
    values = np.full((3, n), np.nan)
    values[:, place] = rows.values
    is_on = _held(rows.status == _ONLINE, place, n)
    values[0, ~is_on] = np.nan
    _check_channels(machine, values, is_on, config)
    load = values[0] / kind.rated_kw
    found = load_level(load, is_on, step_ms / 1000.0, config)
    hour = np.arange(n) * (step_ms / HOUR_MS)
    ambient = _ambient(dataset, machine, int(rows.time_ms[0]), hour)
    return Samples(step_ms / HOUR_MS, hour, is_on, load, found.level, values[1], values[2], ambient, found.piece,
                   found.noise_frac, found.noise_se)  # fmt: skip


def _held(is_on: np.ndarray, place: np.ndarray, n: int) -> np.ndarray:
    """Whether the machine runs at every sample; without a row as in the last one."""
    last = np.searchsorted(place, np.arange(n), side="right") - 1
    held: np.ndarray = is_on[last]
    return held


def _check_channels(machine: str, values: np.ndarray, is_on: np.ndarray, config: CalibrateConfig) -> None:
    for name, line in zip(("power_kw", "temperature_c", "vibration_mm_s"), values[:, is_on], strict=True):
        seen = line[np.isfinite(line)]
        if len(seen) < config.least_readings:
            raise DataError(
                f"machine {machine}: {len(seen)} readings of {name} while running are too few to fit anything; "
                f"{config.least_readings} are needed"
            )
        if seen.max() - seen.min() <= 1e-6 * max(1.0, abs(float(seen[0]))):
            raise DataError(
                f"machine {machine}: {name} is {seen[0]:g} in all {len(seen)} readings while running; "
                "a constant channel tells nothing"
            )


def load_level(load: np.ndarray, is_on: np.ndarray, step_s: float, config: CalibrateConfig) -> Level:
    """The load behind the noise of the meter, 0 while off, and the meter's noise.

    Between its jumps the load is taken for a random walk; the noise and the walk are told apart by how squared
    differences grow with their distance. The estimate's error is then independent of the estimate, so that a fit on it
    is not weakened as a fit on noisy loads would be (regression calibration, Carroll et al. 2006).
    """
    running = np.where(is_on, load, np.nan)
    both = (running[1:] + running[:-1]) / 2.0
    with np.errstate(invalid="ignore", divide="ignore"):
        rough = float(np.nanmedian(np.abs(np.diff(running)) / both)) / (np.sqrt(2.0) * _MEDIAN_OF_NORMAL)
    jump = np.zeros(len(load), np.bool_)
    find_jumps(running, is_on, rough, config.jump_width, config.jump_sigmas, jump)
    piece = np.cumsum(jump)
    near = _spread(running, piece, 1)
    lag = max(2, round(_LAG_S / step_s))
    while lag > 4 and _spread(running, piece, lag)[2] < 200:
        lag //= 2
    far = _spread(running, piece, lag)
    share = near[0] / max(2.0 * near[1], 1e-12)
    walk = max((far[0] - 2.0 * share * far[1]) / lag, 1e-9)
    share = max((near[0] - walk) / max(2.0 * near[1], 1e-12), 1e-8)
    known = np.isfinite(running)
    count = np.maximum(np.bincount(piece, known), 1.0)
    mean = np.bincount(piece, np.where(known, running, 0.0)) / count
    level = np.zeros(len(load))
    smooth_level(running, np.maximum(share * mean[piece] ** 2, 1e-12), walk, jump, level)
    noise = float(np.sqrt(share))
    # First differences are correlated (-1/2): n of them are worth n/1.5.
    se = noise * float(np.sqrt(1.5 / (2.0 * max(1, near[2]))))
    return Level(np.where(is_on, level, 0.0), piece, noise, se)


def _spread(x: np.ndarray, piece: np.ndarray, lag: int) -> tuple[float, float, int]:
    """Mean squared difference at a lag within pieces, mean square of the level there, number of pairs."""
    pairs = (piece[lag:] == piece[:-lag]) & np.isfinite(x[lag:]) & np.isfinite(x[:-lag])
    if not pairs.any():
        return 0.0, 1.0, 0
    a, b = x[lag:][pairs], x[:-lag][pairs]
    return float(np.mean((a - b) ** 2)), float(np.mean(a * b)), int(pairs.sum())


def _ambient(dataset: Dataset, machine: str, start_ms: int, hour: np.ndarray) -> np.ndarray:
    """Ambient at every sample, between the middles of hours; NaN when none is known."""
    first = start_ms // HOUR_MS * HOUR_MS
    n_hours = int(hour[-1]) + 3
    line = ambient_by_machine(dataset, first, n_hours)[dataset.machine_ids().index(machine)]
    if not np.isfinite(line).all():
        return np.full(len(hour), np.nan)
    out: np.ndarray = np.interp(hour + (start_ms - first) / HOUR_MS, np.arange(n_hours) + 0.5, line)
    return out
