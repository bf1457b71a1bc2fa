"""Random numbers: the data contract (fixed bits), their distribution, and their independence."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from naive import bits_array, fast_normal_array, mix64, normal_array
from naive import normal as naive_normal
from naive import random_bits as naive_bits
from naive import stream_key as naive_key
from naive import uniform as naive_uniform
from scipy import stats
from scipy.special import ndtri

from nexova_sim.kernels import random as r
from nexova_sim.kernels.random import (
    N_STREAMS,
    key_high,
    key_low,
    normal,
    normals,
    random_bits,
    stream_key,
    uniform,
    uniforms,
)
from nexova_sim.simulate.machines import name_key, streams

KEY = np.uint64(0x0123456789ABCDEF)
N = 2_000_000
SIGMA = 4.5  # standard errors allowed

# The data contract: these values may never change. Key, counter, bits.
GOLDEN_BITS = [
    (0x0000000000000000, 0, 0x00000000),
    (0x0000000000000000, 1, 0xB7EF0A0B),
    (0x0000000000000000, 1000, 0x5684AE7C),
    (0x0000000000000000, 4294967295, 0x9B6185CF),
    (0x0000000000000001, 0, 0x47E5BE96),
    (0x0000000000000001, 1, 0x8FB55836),
    (0x0000000000000001, 1000, 0x4E887567),
    (0x0000000000000001, 4294967295, 0xA0F15B7C),
    (0x0123456789ABCDEF, 0, 0xC3E38011),
    (0x0123456789ABCDEF, 1, 0x3032D3AC),
    (0x0123456789ABCDEF, 1000, 0x2529E2B2),
    (0x0123456789ABCDEF, 4294967295, 0xCC449880),
    (0xFFFFFFFFFFFFFFFF, 0, 0xB78A8C0E),
    (0xFFFFFFFFFFFFFFFF, 1, 0x9BFBE81B),
    (0xFFFFFFFFFFFFFFFF, 1000, 0x25AAF4C1),
    (0xFFFFFFFFFFFFFFFF, 4294967295, 0x1987E004),
]
GOLDEN_KEYS = [
    (0, "a", 0, 0x290EF711C99E179F),
    (1, "lyon-pump-001", 0, 0x152317AB96C3EA2E),
    (1, "lyon-pump-001", 9, 0x8E11D55ACC62E299),
    (20260105, "factory/pune", 11, 0xA8BB46821DD1ADCC),
    (9223372036854775807, "detroit-motor-014", 15, 0x287990957C9E0B2A),
]
GOLDEN_NORMALS = [
    (0x0123456789ABCDEF, 0, [0x3F391CF3, 0xBF625F71, 0xBFDD31E2, 0xBFBE9802, 0xBF5F3EB0, 0x3F366718]),
    (0x0000000000000001, 5, [0xBFE20BA2, 0x3F25DA4B, 0xBF7F9AF7, 0x3FD2B8B3, 0xBF3C694E, 0xBE13F1F2]),
    (0xFFFFFFFFFFFFFFFF, 4294967293, [0xBF922A36, 0xBF8DB3A3, 0xBFA43C6E, 0x3F12E663, 0x3E8E1820, 0xBE66565B]),
]


def bits(key: np.uint64, first: int, n: int) -> np.ndarray:
    return bits_array(np.uint64(key), (np.arange(first, first + n) % 2**32).astype(np.uint32))


def draws(key: np.uint64, n: int = N, first: int = 0) -> np.ndarray:
    out = np.empty(n, np.float32)
    normals(key, first, out)
    return out.astype(float)


def one_bits(key: int, counter: int) -> int:
    return int(random_bits(key_low(np.uint64(key)), key_high(np.uint64(key)), np.uint32(counter)))


@pytest.mark.parametrize(("key", "counter", "expected"), GOLDEN_BITS)
def test_bits_are_the_contract(key, counter, expected):
    assert one_bits(key, counter) == expected


@pytest.mark.parametrize(("seed", "name", "stream", "expected"), GOLDEN_KEYS)
def test_keys_are_the_contract(seed, name, stream, expected):
    assert int(streams(seed, name)[stream]) == expected


@pytest.mark.parametrize(("key", "first", "expected"), GOLDEN_NORMALS)
def test_normals_are_the_contract(key, first, expected):
    out = np.empty(len(expected), np.float32)
    normals(np.uint64(key), first, out)
    assert [int(v) for v in out.view(np.uint32)] == expected


def test_streams_keep_their_numbers():
    names = ["POWER_NOISE", "TEMPERATURE_NOISE", "VIBRATION_NOISE", "LOAD_VARIATION", "IDLE", "WEAR_NOISE"]
    names += ["POWER_SPIKE", "BUILD", "AGE", "LIFE", "FAULT", "WEATHER", "DEMAND", "SENSOR_FAULT", "CYCLE", "SERVICE"]
    assert [getattr(r, name) for name in names] == list(range(16))
    assert N_STREAMS >= 16


def test_a_hundred_thousand_normals_keep_their_bytes():
    assert hashlib.sha256(draws(KEY, 100_000).astype(np.float32).tobytes()).hexdigest()[:16] == "01e09b2f8d0e2fdd"


def test_hash_equals_plain_integers():
    picks = np.random.default_rng(1).integers(0, 2**64, (200, 2), dtype=np.uint64)
    for key, counter in picks.tolist():
        assert one_bits(key, counter % 2**32) == naive_bits(key, counter % 2**32)
        assert int(r.mix64(np.uint64(key))) == mix64(key)
        for stream in (0, N_STREAMS - 1):
            assert int(stream_key(np.uint64(counter), np.uint64(key), stream)) == naive_key(counter, key, stream)


def test_uniform_and_normal_equal_their_twins():
    u, z = np.empty(2000), np.empty(2000, np.float32)
    uniforms(KEY, 2**32 - 1000, u)
    normals(KEY, 2**32 - 1000, z)
    counters = [(2**32 - 1000 + k) % 2**32 for k in range(2000)]
    assert u.tolist() == [naive_uniform(int(KEY), c) for c in counters]
    assert np.abs(z - [naive_normal(int(KEY), c) for c in counters]).max() < 2e-6
    assert u[0] == uniform(np.uint32(naive_bits(int(KEY), counters[0])))
    assert z[0] == normal(np.uint32(naive_bits(int(KEY), counters[0])))
    assert np.abs(fast_normal_array(KEY, np.array(counters, np.uint32)) - z).max() < 2e-6


def test_uniform_is_never_0_or_1():
    assert 0.0 < uniform(np.uint32(0)) < uniform(np.uint32(2**32 - 1)) < 1.0


def test_normal_over_all_inputs_against_the_inverse_distribution():
    """All 2^24 values of the upper bits: accuracy, symmetry, and order up to rounding."""
    z = all_normals()
    exact = ndtri((np.arange(2**24) + 0.5) / 2.0**24)
    relative = np.abs(z - exact) / np.maximum(np.abs(exact), 1e-300)
    assert relative.max() < 1e-6
    assert np.array_equal(z, -z[::-1])
    assert np.abs(z).max() < 5.5
    steps = np.diff(z)
    # Rounding may put neighbours in the wrong order by a few units in the last place, never by more.
    assert steps.min() > -8 * np.spacing(np.float32(5.0)).astype(float)
    assert np.diff(z[:: 2**10]).min() > 0.0


def all_normals() -> np.ndarray:
    """The normal of every value of the upper 24 bits, in order."""
    from numba import njit

    @njit
    def fill(out):
        for k in range(out.shape[0]):
            out[k] = normal(np.uint32(k << 8))

    out = np.empty(2**24, np.float32)
    fill(out)
    return out.astype(float)


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return draws(KEY)


def test_moments(sample):
    n = len(sample)
    error = np.sqrt([1 / n, 2 / n, 6 / n, 24 / n])
    found = np.array([sample.mean(), sample.var() - 1, stats.skew(sample), stats.kurtosis(sample)])
    assert (np.abs(found) < SIGMA * error).all(), found / error


@pytest.mark.parametrize("level", [1.0, 2.0, 3.0, 3.5, 4.0, 4.5])
@pytest.mark.parametrize("side", [-1, 1])
def test_tails(sample, level, side):
    expected = len(sample) * stats.norm.sf(level)
    found = int((side * sample > level).sum())
    low, high = stats.poisson.ppf([3e-6, 1 - 3e-6], expected)
    assert low <= found <= high, (found, expected)


def test_distribution(sample):
    assert stats.kstest(sample[:500_000], "norm").pvalue > 1e-4


def test_every_bit_is_fair():
    b = bits(KEY, 0, N)
    ones = np.array([((b >> np.uint32(i)) & np.uint32(1)).sum() for i in range(32)])
    assert (np.abs(ones - N / 2) < SIGMA * np.sqrt(N) / 2).all()
    pairs = np.bincount(
        (b & np.uint32(255)).astype(int) * 256 + (np.roll(b, 1) & np.uint32(255)).astype(int), minlength=65536
    )
    assert stats.chisquare(pairs).pvalue > 1e-4
    for shift in (0, 8, 16, 24):
        assert stats.chisquare(np.bincount((b >> np.uint32(shift)).astype(np.uint8), minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("bit", range(0, 32, 5))
def test_neighbouring_counters_differ_in_half_of_the_bits(bit):
    counters = np.arange(200_000, dtype=np.uint32)
    flipped = bits_array(KEY, counters) ^ bits_array(KEY, counters ^ np.uint32(1 << bit))
    changed = np.array([((flipped >> np.uint32(i)) & np.uint32(1)).mean() for i in range(32)])
    assert (np.abs(changed - 0.5) < 6 * 0.5 / np.sqrt(len(counters) / 2)).all()


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_no_correlation_over_steps(sample):
    for lag in range(1, 17):
        assert abs(correlation(sample[:-lag], sample[lag:])) < SIGMA / np.sqrt(len(sample)), lag
        squares = sample**2 - 1
        assert abs(correlation(squares[:-lag], squares[lag:])) < SIGMA / np.sqrt(len(sample)), lag


def matrix_is_diagonal(z: np.ndarray) -> None:
    c = np.corrcoef(z)
    off = c[~np.eye(len(c), dtype=bool)]
    assert np.abs(off).max() < 5.5 / np.sqrt(z.shape[1])


def test_no_correlation_across_machines():
    matrix_is_diagonal(np.array([draws(streams(7, f"lyon-pump-{j:03d}")[0], 100_000) for j in range(32)]))


def test_no_correlation_across_channels():
    matrix_is_diagonal(np.array([draws(key, 200_000) for key in streams(7, "lyon-pump-001")]))


def test_no_correlation_across_seeds():
    matrix_is_diagonal(np.array([draws(streams(seed, "lyon-pump-001")[0], 200_000) for seed in range(16)]))


def test_keys_of_many_names_are_distinct():
    names = [int(name_key(f"site{n // 1000}-pump-{n % 1000:03d}")) for n in range(100_000)]
    assert len(set(names)) == len(names)
    keys = {int(stream_key(np.uint64(5), np.uint64(name), 2)) for name in names}
    assert len(keys) == len(names)
    assert len({key & 0xFFFFFFFF for key in keys}) > 0.9999 * len(names)
    assert len({int(key) for seed in range(100) for key in streams(seed, "a")}) == 100 * N_STREAMS


def test_streams_are_no_shifted_copies():
    """Two streams whose first key words make one a shifted copy of the other's counters must still be unrelated."""
    golden = 0x9E3779B9
    for high in (1, 0x80000000, 0xFFFFFFFF):
        other = ((int(KEY) + 12_345 * golden) & 0xFFFFFFFF) | ((int(KEY) >> 32 ^ high) << 32)
        a, b = draws(KEY, 300_000, 12_345), draws(np.uint64(other), 300_000)
        assert abs(correlation(a, b)) < SIGMA / np.sqrt(len(a))


def test_windows_of_two_streams_do_not_overlap():
    """No value of one stream's window is followed by the same next value in another's: no common cycle."""
    keys = [streams(3, f"m{j}")[0] for j in range(12)]
    pairs = [bits(k, 0, 100_001).astype(np.uint64) for k in keys]
    pairs = np.concatenate([(p[:-1] << np.uint64(32)) | p[1:] for p in pairs])
    assert len(np.unique(pairs)) == len(pairs)


def test_windows_can_be_recomputed_alone():
    whole = draws(KEY, 1000)
    assert np.array_equal(whole[300:700], draws(KEY, 400, 300))
    assert np.array_equal(draws(KEY, 10, 2**32), draws(KEY, 10, 0))


def test_exact_twin_agrees_in_distribution():
    z = normal_array(KEY, np.arange(10_000, dtype=np.uint32))
    assert np.abs(z - draws(KEY, 10_000)).max() < 2e-6
