"""What a particle is: one possible present of one machine, with the build it would need to be that machine.

Particle filters move particles through the past, lifetimes and futures move them on. A *situation* is a machine at a
time with its parameters and the load that is stated for its future; many particles share one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Columns of a particle. State: temperature degC, damages 0..1, running hours of the machine and of the part that fails
# at random. Build: rise at rated load K, vibration at rated load mm/s, wear per hour and mm/s. Conditions that stay:
# cooling factor, added wear per running hour, added vibration mm/s.
(Q_TEMP, Q_WEAR, Q_FATIGUE, Q_ELECTRICAL, Q_RUNTIME, Q_AGE, Q_RISE, Q_VIB, Q_RATE, Q_COOLING, Q_EXTRA,
 Q_SHIFT) = range(12)  # fmt: skip
N_PARTICLE = 12

# Random streams of filters and futures; the fleet's own numbers (``random``) end below 16.
FUTURE_LOAD, FUTURE_WEAR, FUTURE_LIFE, FILTER_START, FILTER_STEP, FILTER_PICK = range(32, 38)
# Where the first value of a series of random numbers by hour stands: behind every hour there can be.
START_COUNTER = np.uint32(2**32 - 1)

HOURS_PER_WEEK = 168


class Future(NamedTuple):
    """The load stated for the future of s situations, from their own present on.

    ``week_load`` (s, 168) mean load fraction by hour of the week (0 = off), ``ambient_c`` (s, 168) likewise;
    ``start_hour`` (s,) int64 the hour of the week in which the future begins; ``variation`` and ``memory`` (s,) are
    standard deviation and hourly AR(1) coefficient of the factor on the load; ``key`` (s,) uint64 names the random
    numbers: situations with equal keys meet the same chance.
    """

    week_load: np.ndarray
    ambient_c: np.ndarray
    start_hour: np.ndarray
    variation: np.ndarray
    memory: np.ndarray
    key: np.ndarray
