"""Which days a study may use for what. Training, validation and test days are disjoint ranges of one stream."""

from __future__ import annotations

import hashlib

import numpy as np

from nexova_sim.base.errors import CheckFailedError, ConfigError
from nexova_sim.config.study import MOST_DAYS, TRAIN_DAYS, Part, StudyConfig
from nexova_sim.kernels.energy import Days, Site
from nexova_sim.schedule.site import days_of

VALIDATION_FIRST, TEST_FIRST = 2**40, 2**41


def train_days(site: Site, study: StudyConfig, seed: int, first: int, n: int) -> Days:
    """``n`` training days of one training seed, from its day ``first`` on; no other seed ever sees them."""
    if not 0 <= first <= TRAIN_DAYS - n:
        raise ConfigError(f"training day {first} + {n}: a seed has {TRAIN_DAYS} days; use fewer iterations")
    if not 0 <= seed < VALIDATION_FIRST // TRAIN_DAYS:
        raise ConfigError(f"training seed {seed}: must be from 0 to {VALIDATION_FIRST // TRAIN_DAYS - 1}")
    return days_of(site, study.stream, _numbers(seed * TRAIN_DAYS + first, n))


def held_out_days(site: Site, study: StudyConfig, part: Part) -> Days:
    """The validation or the test days of a study; ConfigError for training days, of which there is no fixed set."""
    if part == "validation":
        return days_of(site, study.stream, _numbers(VALIDATION_FIRST, study.n_validation))
    if part == "test":
        return days_of(site, study.stream, _numbers(TEST_FIRST + study.first_test_day, study.n_test))
    raise ConfigError(f"days {part!r}: not held out; choose validation or test")


def _numbers(first: int, n: int) -> np.ndarray:
    assert n <= MOST_DAYS
    return np.uint64(first) + np.arange(n, dtype=np.uint64)


def days_hash(days: Days) -> str:
    """SHA-256 over everything that happens on the days, little-endian, 64 hex digits."""
    digest = hashlib.sha256()
    for array in days:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def locked_test_days(site: Site, study: StudyConfig) -> Days:
    """The test days, when they are the ones that were locked; CheckFailedError when they are not, or none are."""
    days = held_out_days(site, study, "test")
    found = days_hash(days)
    if found != study.test_sha256:
        locked = study.test_sha256 or "nothing"
        raise CheckFailedError(
            f"test days of study {study.name!r}: hash {found}, but test_sha256 locks {locked}; the site, the stream or "
            "n_test was changed after the days were locked. Restore them, or lock the new days by that hash before "
            "anything is tuned",
            found=found,
            locked=study.test_sha256,
        )
    return days
