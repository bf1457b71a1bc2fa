"""Elementary functions: accuracy over their whole ranges, and the order of their values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from nexova_sim.kernels.numbers import cos_turn, exp64, log32, log64, pow64

RNG = np.random.default_rng(3)


def over(function, x: np.ndarray, out_type: type = np.float64) -> np.ndarray:
    """A kernel applied to every element, compiled as callers see it."""

    @njit
    def loop(x, out):
        for i in range(x.shape[0]):
            out[i] = function(x[i])

    out = np.empty(len(x), out_type)
    loop(x, out)
    return out


def test_exp_is_accurate_to_the_last_bits():
    x = np.concatenate([RNG.uniform(-700, 700, 200_000), RNG.uniform(-1, 1, 200_000), np.linspace(-1e-9, 1e-9, 1001)])
    reference = np.array([math.exp(v) for v in x])
    assert (np.abs(over(exp64, x) - reference) / reference).max() < 5e-16


@pytest.mark.parametrize(("x", "expected"), [(0.0, 1.0), (-0.0, 1.0), (1e-320, 1.0), (-1e-300, 1.0)])
def test_exp_at_its_edges(x, expected):
    assert exp64(x) == expected


def test_exp_clamps_outside_its_range():
    assert exp64(1e6) == exp64(700.0) == pytest.approx(math.exp(700.0), rel=1e-15)
    assert exp64(-1e6) == exp64(-700.0) == pytest.approx(math.exp(-700.0), rel=1e-15)
    assert 0.0 < exp64(-1e308) < 1e-300


def test_exp_never_decreases():
    x = np.sort(np.concatenate([np.linspace(-3, 3, 400_001), np.log(2) * (np.arange(-40, 40) + 0.5)]))
    y = over(exp64, x)
    assert (np.diff(y) >= -2e-16 * y[1:]).all()


def test_log_is_accurate_to_the_last_bits():
    x = np.concatenate(
        [np.exp(RNG.uniform(-690, 690, 200_000)), RNG.uniform(0.5, 2.0, 200_000), 1.0 + np.linspace(-1e-6, 1e-6, 2001)]
    )
    reference = np.array([math.log(v) for v in x])
    error = np.abs(over(log64, x) - reference)
    assert (error <= 1e-15 * np.abs(reference)).all()


@pytest.mark.parametrize(
    "x",
    [2.0**-1022, 2.0**1023, 1.7976931348623157e308, 1.0 + 2**-52, 1.0 - 2**-53, 0.7071067811865475, 0.7071067811865476],
)
def test_log_at_its_edges(x):
    assert log64(x) == pytest.approx(math.log(x), rel=1e-15)
    assert log64(1.0) == 0.0


def test_log_and_exp_undo_each_other():
    x = RNG.uniform(-600, 600, 50_000)
    assert np.abs(over(log64, over(exp64, x)) - x).max() < 2e-13


def test_powers():
    for x, y in zip(np.exp(RNG.uniform(-20, 20, 5000)), RNG.uniform(-10, 10, 5000), strict=True):
        assert pow64(x, y) == pytest.approx(x**y, rel=1e-13)
    assert pow64(0.0, 0.0) == 1.0 and pow64(5.0, 0.0) == 1.0
    assert pow64(0.0, 2.0) == 0.0 and pow64(1.0, 123.4) == 1.0


def test_cosine_of_turns():
    x = np.concatenate([RNG.uniform(-1, 1, 100_000), np.arange(-40, 41) / 8.0])
    reference = np.cos(2 * np.pi * (x - np.rint(x)))
    assert np.abs(over(cos_turn, x) - reference).max() < 1e-15
    whole = RNG.integers(-(10**6), 10**6, 10_000).astype(float)
    quarter = RNG.integers(0, 4, 10_000)
    assert np.abs(over(cos_turn, whole + quarter / 4) - np.array([1.0, 0.0, -1.0, 0.0])[quarter]).max() < 2e-15


def test_cosine_is_even_and_periodic():
    x = RNG.integers(0, 2**30, 10_000) / 2.0**30
    assert np.array_equal(over(cos_turn, x), over(cos_turn, -x))
    assert np.array_equal(over(cos_turn, x), over(cos_turn, x + 7.0))


def every_float32(low: float, high: float, step: int = 1) -> np.ndarray:
    first, last = (int(np.float32(v).view(np.uint32)) for v in (low, high))
    return np.arange(first, last + 1, step, dtype=np.uint32).view(np.float32)


def test_single_logarithm_over_the_range_normals_use():
    """1 - x^2 of 24-bit x lies in [1e-7, 1]: every 29th float32 there."""
    x = every_float32(2.0**-24, 1.0, 29)
    reference = np.log(x.astype(float))
    error = np.abs(over(log32, x, np.float32) - reference) / np.maximum(1.0, np.abs(reference))
    assert error.max() < 2e-7


def test_single_logarithm_over_all_normal_numbers():
    x = every_float32(np.finfo(np.float32).tiny, np.finfo(np.float32).max, 997)
    reference = np.log(x.astype(float))
    error = np.abs(over(log32, x, np.float32) - reference) / np.maximum(1.0, np.abs(reference))
    assert error.max() < 2e-7
    assert log32(np.float32(1.0)) == 0.0


def test_single_logarithm_keeps_the_order_up_to_rounding():
    """All 2^24 float32 of two octaves around the seam of the range reduction at 4/3."""
    x = every_float32(0.5, 2.0)[: 2**24 + 1]
    y = over(log32, x, np.float32).astype(float)
    assert np.diff(y).min() > -1.3e-7
    assert (np.diff(y[:: 2**12]) > 0).all()


def test_results_have_no_compiler_dependent_type():
    assert isinstance(exp64(1.0), float) and isinstance(log64(2.0), float)
    assert over(log32, np.ones(1, np.float32), np.float32).dtype == np.float32
