"""Counter-based random numbers: a pure function of (seed, machine, step, channel), with no stream state.

Any machine or window can be recomputed alone, in any order, on any number of threads, with the same bits.
The integer hash is an xorshift-multiply chain whose first two multipliers are those of C. Wellons' ``lowbias32``
(measured avalanche bias 0.17 of 1000); a second key word enters in the middle, so that two streams whose counters
happen to be shifted copies of each other still give unrelated numbers.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import log32

# One number per independent use of randomness. Numbers are part of the data contract: never renumber.
POWER_NOISE = 0
TEMPERATURE_NOISE = 1
VIBRATION_NOISE = 2
LOAD_VARIATION = 3
IDLE = 4
WEAR_NOISE = 5
POWER_SPIKE = 6
BUILD = 7
AGE = 8
LIFE = 9
FAULT = 10
WEATHER = 11
DEMAND = 12
SENSOR_FAULT = 13
CYCLE = 14
SERVICE = 15
N_STREAMS = 16

_F = np.float32
_GOLDEN = np.uint32(0x9E3779B9)
_M1 = np.uint32(0x7FEB352D)
_M2 = np.uint32(0x846CA68B)
_M3 = np.uint32(0x9E485565)
_S16 = np.uint32(16)
_S15 = np.uint32(15)
_S8 = np.uint32(8)

# Inverse normal CDF: with x in (-1, 1) and w = -log(1 - x^2), the standard normal quantile at (1 + x)/2 is x p(w) for
# w < 5 and x r(sqrt(w)) beyond. Same split as M. Giles, "Approximating the erfinv function" (2010); coefficients fitted
# for this project against scipy.special.ndtri, relative error of the fits 1e-7 and 3e-7.
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8 = (
    _F(v)
    for v in (
        2.1233136654, 0.3488026559, -0.0059081712, -0.0017730101, 0.00030915020,
        -6.217992904566927e-06, -4.990565230400534e-06, 4.861039428760705e-07, 4.0354635189032706e-08,
    )
)  # fmt: skip
_R0, _R1, _R2, _R3, _R4, _R5, _R6, _R7 = (
    _F(v)
    for v in (
        4.006434917, 1.416588068, 0.013322490267455578, -0.01087426207959652, 0.008276563137769699,
        -0.004891912918537855, 0.0015478403074666858, -0.00013086048420518637,
    )
)  # fmt: skip
_FIVE = _F(5.0)
_TWO_HALF = _F(2.5)
_THREE = _F(3.0)
_ONE = _F(1.0)
_STEP = _F(2.0**-23)
_HALF_STEP = _F(2.0**-24)
_MIN_NORMAL = _F(1.2e-7)


@kernel
def mix64(x: np.uint64) -> np.uint64:
    """Finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of 64-bit integers."""
    x = np.uint64(x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = np.uint64(x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint64(x ^ (x >> np.uint64(31)))


@kernel
def stream_key(seed: np.uint64, machine_key: np.uint64, stream: int) -> np.uint64:
    """The 64-bit key of one stream of one machine; ``machine_key`` comes from the machine's name, not its place."""
    a = mix64(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15))
    b = mix64(np.uint64(a ^ np.uint64(machine_key)) + np.uint64(0xD1B54A32D192ED03))
    return mix64(np.uint64(b + np.uint64(stream + 1) * np.uint64(0x8CB92BA72F3D8DD7)))


@kernel
def key_low(key: np.uint64) -> np.uint32:
    """First word of a stream key."""
    return np.uint32(key & np.uint64(0xFFFFFFFF))


@kernel
def key_high(key: np.uint64) -> np.uint32:
    """Second word of a stream key."""
    return np.uint32(key >> np.uint64(32))


@kernel
def random_bits(key0: np.uint32, key1: np.uint32, counter: np.uint32) -> np.uint32:
    """32 random bits for one counter value of the stream with the key words ``key0`` and ``key1``."""
    x = np.uint32(counter * _GOLDEN + key0)
    x = np.uint32((x ^ np.uint32(x >> _S16)) * _M1)
    x = np.uint32(np.uint32(x ^ np.uint32(x >> _S15)) + key1)
    x = np.uint32((x ^ np.uint32(x >> _S16)) * _M2)
    x = np.uint32((x ^ np.uint32(x >> _S15)) * _M3)
    return np.uint32(x ^ np.uint32(x >> _S16))


@kernel
def uniform(bits: np.uint32) -> float:
    """A double in (0, 1), never 0 or 1, from 32 random bits."""
    return (np.float64(bits) + 0.5) * 2.0**-32


@kernel
def normal(bits: np.uint32) -> np.float32:
    """A standard normal float32 from the upper 24 of 32 random bits, by the inverse CDF; largest |value| 5.3."""
    x = np.float32(np.int32(np.uint32(bits >> _S8))) * _STEP - _ONE + _HALF_STEP
    w = -log32((_ONE - x) * (_ONE + x))
    a = w - _TWO_HALF
    p = _P0 + a * (_P1 + a * (_P2 + a * (_P3 + a * (_P4 + a * (_P5 + a * (_P6 + a * (_P7 + a * _P8)))))))
    b = np.float32(math.sqrt(max(w, _FIVE))) - _THREE
    r = _R0 + b * (_R1 + b * (_R2 + b * (_R3 + b * (_R4 + b * (_R5 + b * (_R6 + b * _R7))))))
    return (p if w < _FIVE else r) * x


@kernel
def normals(key: np.uint64, first: int, out_z: np.ndarray) -> None:
    """Write the normals of counters first, first+1, ... into ``out_z`` (float32, any length)."""
    k0 = key_low(key)
    k1 = key_high(key)
    for k in range(out_z.shape[0]):
        out_z[k] = normal(random_bits(k0, k1, np.uint32(first + k)))


@kernel
def uniforms(key: np.uint64, first: int, out_u: np.ndarray) -> None:
    """Write the uniforms of counters first, first+1, ... into ``out_u`` (float64, any length)."""
    k0 = key_low(key)
    k1 = key_high(key)
    for k in range(out_u.shape[0]):
        out_u[k] = uniform(random_bits(k0, k1, np.uint32(first + k)))
