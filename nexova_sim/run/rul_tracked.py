"""The twin's share in remaining life: what a tracker of hidden states knows at the moments that are asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexova_sim.analyse.remaining import sample_lives, stack_parameters
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.config.rul import RulConfig
from nexova_sim.dataset.read import Dataset
from nexova_sim.kernels.particles import HOURS_PER_WEEK, N_PARTICLE, Q_WEAR, Future
from nexova_sim.prognose.hours import HOUR_MS, Hours, make_hours
from nexova_sim.prognose.outlook import Outlook, look_ahead
from nexova_sim.prognose.prognosis import Study, Tracked
from nexova_sim.prognose.track import Plate, machine_key, track_one, untold
from nexova_sim.prognose.whatif import draw_particles
from nexova_sim.run.plates import read_plates

TRACKED_METHODS = ("seed_formula", "twin")
_LEAST_HOURS = 6


def why_not_tracked(dataset: Dataset) -> str:
    """Why the methods that need a tracked state are missing, in words."""
    return "needs the twin's estimate of wear, which this dataset's kinds and channels do not give"


def track_study(dataset: Dataset, study: Study, config: RulConfig) -> Tracked | None:
    """Wear and samples of remaining life at every cut, or None when the twin does not know a machine that is asked.

    Every machine is followed once, from its readings up to each of its cuts; its future load is that of its past.
    """
    ids = study.histories.machine_ids
    names = [ids[m] for m in np.unique(study.cuts.machine)]
    try:
        plates = {p.machine_id: p for p in read_plates(dataset, config.track.kind_folder, names)}
        hours = make_hours(dataset, {name: p.kind for name, p in plates.items()}, config.track.ambient_c, names)
    except (ConfigError, DataError):
        return None
    place = {name: n for n, name in enumerate(hours.machine_ids)}
    n = len(study.cuts.machine)
    clouds = np.empty((n, config.future.n_samples, N_PARTICLE))
    looks: list[Outlook] = [_NOTHING] * n
    for machine in np.unique(study.cuts.machine):
        rows = np.flatnonzero(study.cuts.machine == machine)
        name = ids[machine]
        at = np.maximum((study.cuts.time_ms[rows] - hours.start_ms) // HOUR_MS, 0).astype(np.int64)
        found = _follow(hours, place[name], plates[name], at, config)
        if found is None:
            return None
        clouds[rows] = found
        for row, hour in zip(rows, at, strict=True):
            looks[row] = look_ahead(hours, place[name], int(hour), plates[name].kind.nominal_load_frac)
    own = [plates[ids[m]] for m in study.cuts.machine]
    keys = [machine_key(f"{ids[m]} {t}") for m, t in zip(study.cuts.machine, study.cuts.time_ms, strict=True)]
    return Tracked(clouds[:, :, Q_WEAR].mean(axis=1), _samples(own, clouds, _future(looks, keys, config), config))


_NOTHING = Outlook(np.zeros(HOURS_PER_WEEK), np.zeros(HOURS_PER_WEEK), 0, 0.0, 0.0)


def _follow(hours: Hours, row: int, plate: Plate, at: np.ndarray, config: RulConfig) -> np.ndarray | None:
    """Presents (k, n_samples, N_PARTICLE) at the hours ``at`` (k,); None when the readings tell nothing."""
    kept, inverse = np.unique(at, return_inverse=True)
    given = hours.given[row][: int(kept[-1])]
    if kept[0] < _LEAST_HOURS or untold(given, _LEAST_HOURS) is not None:
        return None
    done = track_one(given, plate, config.track, kept)
    drawn = np.array([draw_particles(cloud, config.future.n_samples) for cloud in done.clouds])
    return drawn[inverse]


def _future(looks: Sequence[Outlook], keys: Sequence[np.uint64], config: RulConfig) -> Future:
    """The load of the past, times the configured scale."""
    load = np.array([k.week_load for k in looks]).reshape(-1, HOURS_PER_WEEK)
    return Future(
        load * config.future.scale,
        np.array([k.ambient_c for k in looks]).reshape(-1, HOURS_PER_WEEK),
        np.array([k.start_hour for k in looks], np.int64),
        np.array([k.variation for k in looks]),
        np.array([k.memory for k in looks]),
        np.array(keys, np.uint64),
    )


def _samples(plates: Sequence[Plate], clouds: np.ndarray, future: Future, config: RulConfig) -> np.ndarray:
    """Samples (n, n_samples) of remaining hours; a life longer than ``most_h`` counts as that long."""
    n, n_samples = clouds.shape[:2]
    rows = {id(p.kind): nominal_parameters(p.kind, config.track.physics) for p in plates}
    params = stack_parameters([rows[id(p.kind)] for p in plates])
    situation = np.repeat(np.arange(n), n_samples)
    most_h = round(config.future.most_h)
    lives = sample_lives(params, clouds.reshape(-1, N_PARTICLE), situation, future, config.track.seed, most_h)
    found: np.ndarray = np.minimum(lives.rest_h, most_h).reshape(n, n_samples)
    return found
