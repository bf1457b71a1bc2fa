"""Readings: noise, resolution, hour meter, and the faults of sensors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from naive import quantise as naive_quantise
from naive import read_channel as naive_read
from naive import uniform as naive_uniform
from numba import njit
from tolerances import EXACT, STAT

from nexova_sim.kernels.sensor import (
    DRIFT,
    DROPOUT,
    MISSING,
    SPIKE,
    SPIKE_SHARE,
    STUCK,
    fault_channel,
    quantise,
    read_channel,
    read_meter,
)

KEY = np.uint64(0xABCDEF0123456789)
NAN = math.nan


def noise(absolute: float, relative: float, per_unit: float) -> np.ndarray:
    return np.array([absolute, relative, per_unit], np.float32)


def read(true: np.ndarray, n: np.ndarray, first: int = 0) -> np.ndarray:
    out = true.astype(np.float32).copy()
    read_channel(KEY, first, n, out)
    return out


def falsify(
    kind: int, values: np.ndarray, span: tuple[int, int, int], severity: float = 1.0, first: int = 0, held: float = NAN
):
    out = values.astype(np.float32).copy()
    held = fault_channel(kind, np.array(span, np.int64), KEY, first, severity * 15.0, np.float32(10.0), held, out)
    return out, held


@njit
def _quantise_all(values, per_unit, out):
    for i in range(len(values)):
        out[i] = quantise(values[i], per_unit)


@pytest.mark.parametrize("per_unit", [1.0, 10.0, 100.0, 10_000.0])
def test_rounding_to_the_resolution(per_unit):
    values = np.random.default_rng(1).uniform(-5.0, 400.0, 100_000).astype(np.float32)
    out = np.empty_like(values)
    _quantise_all(values, np.float32(per_unit), out)
    steps = out.astype(float) * per_unit
    np.testing.assert_allclose(steps, np.rint(steps), rtol=1e-6, atol=1e-6)
    assert (out >= 0.0).all() and not np.signbit(out).any()
    # Half a step, and the rounding of value * per_unit in single precision.
    slack = 0.5 / per_unit + 1.3e-7 * np.abs(values)
    assert (np.abs(out - np.maximum(values.astype(float), 0.0)) <= slack).all()
    assert (out != naive_quantise(values.astype(float), per_unit)).mean() < 1e-3 * per_unit


@pytest.mark.parametrize(
    ("value", "expected"), [(-0.0, 0.0), (-3.0, 0.0), (0.25, 0.2), (0.36, 0.4), (21.04, 21.0), (21.06, 21.1)]
)
def test_rounding_by_hand(value, expected):
    assert np.float32(quantise(np.float32(value), np.float32(10.0))) == np.float32(expected)


@pytest.mark.parametrize(
    "n", [noise(3.0, 0.0, 10.0), noise(0.0, 0.1, 100.0), noise(0.3, 0.02, 100.0), noise(0.0, 0.0, 100.0)]
)
def test_readings_equal_their_twin(n):
    true = np.random.default_rng(2).uniform(0.0, 90.0, 3000).astype(np.float32)
    found, expected = read(true, n, 2**32 - 100), naive_read(true, int(KEY), 2**32 - 100, tuple(n.astype(float)))
    # The twin rounds exact normals of double precision: about one reading in a thousand sits on the edge of a step.
    differs = found != expected
    assert differs.mean() <= 3e-3
    assert np.abs(found - expected)[differs].max(initial=0.0) < 1.01 / n[2]


def test_noise_has_its_size():
    n = 500_000
    found = read(np.full(n, 60.0), noise(3.0, 0.0, 10.0)).astype(float)
    assert abs(found.mean() - 60.0) < STAT * 3.0 / math.sqrt(n)
    assert abs(found.std() / math.sqrt(9.0 + 0.01 / 12) - 1.0) < STAT / math.sqrt(2 * n)
    found = read(np.full(n, 40.0), noise(0.0, 0.1, 100.0)).astype(float)
    assert abs(found.std() / 4.0 - 1.0) < STAT / math.sqrt(2 * n)


def test_readings_are_never_negative():
    found = read(np.zeros(10_000), noise(0.3, 0.0, 100.0))
    assert found.min() == 0.0 and 0.45 < (found == 0.0).mean() < 0.55


def test_a_window_read_alone_is_the_same():
    true = np.linspace(20, 80, 1000).astype(np.float32)
    n = noise(3.0, 0.0, 10.0)
    np.testing.assert_allclose(read(true[300:700], n, 300), read(true, n)[300:700], **EXACT)


def test_meter_cuts_down():
    true = np.array([0.0, 0.05, 0.1, 0.19, 7.0, 12_345.67, 19_999.99], np.float32)
    out = true.copy()
    read_meter(np.float32(10.0), out)
    np.testing.assert_allclose(out, np.float32([0.0, 0.0, 0.1, 0.1, 7.0, 12_345.6, 19_999.9]), **EXACT)
    hours = (1000.0 + np.arange(5000) / 60.0).astype(np.float32)
    read_meter(np.float32(10.0), hours)
    assert (np.diff(hours) >= 0).all()


def test_stuck_holds_its_first_value_over_chunks():
    values = np.arange(100.0)
    first, held = falsify(STUCK, values, (40, 160, 120))
    np.testing.assert_allclose(first, np.minimum(values, 40.0), **EXACT)
    second, held = falsify(STUCK, values, (40, 160, 120), first=100, held=held)
    np.testing.assert_allclose(second[:60], 40.0, **EXACT)
    np.testing.assert_allclose(second[60:], values[60:], **EXACT)
    assert held == 40.0


def test_dropout_is_nan_inside_and_only_there():
    out, _ = falsify(DROPOUT, np.ones(100), (10, 30, 20))
    assert np.array_equal(np.isnan(out), (np.arange(100) >= 10) & (np.arange(100) < 30))


def test_drift_grows_to_its_size():
    out, _ = falsify(DRIFT, np.full(300, 50.0), (100, 200, 100), severity=0.4)
    np.testing.assert_allclose(out[:100], 50.0, **EXACT)
    np.testing.assert_allclose(out[200:], 50.0, **EXACT)
    np.testing.assert_allclose(out[100:200], 50.0 + 0.4 * 15.0 * np.arange(100) / 100, atol=0.05 + 1e-5, rtol=0)
    halves = [falsify(DRIFT, np.full(150, 50.0), (100, 200, 100), 0.4, first)[0] for first in (0, 150)]
    np.testing.assert_allclose(np.concatenate(halves), out, **EXACT)


def test_spikes_hit_a_share_of_the_readings_in_both_directions():
    n = 100_000
    out, _ = falsify(SPIKE, np.full(n, 50.0), (0, n, n), severity=0.5)
    u = np.array([naive_uniform(int(KEY), k) for k in range(2000)])
    expected = 50.0 + np.where(u < SPIKE_SHARE, np.where(u < SPIKE_SHARE / 2, 15.0, -15.0), 0.0)
    np.testing.assert_allclose(out[:2000], expected, **EXACT)
    assert set(np.unique(out)) == {35.0, 50.0, 65.0}
    assert abs((out != 50.0).mean() - SPIKE_SHARE) < STAT * math.sqrt(SPIKE_SHARE / n)


def test_spikes_are_never_negative():
    out, _ = falsify(SPIKE, np.full(10_000, 1.0), (0, 10_000, 10_000))
    assert out.min() == 0.0 and out.max() == 31.0


@pytest.mark.parametrize("kind", [STUCK, DROPOUT, DRIFT, SPIKE, MISSING])
@pytest.mark.parametrize("span", [(-50, 0, 50), (100, 200, 100), (500, 600, 100)])
def test_nothing_happens_outside_the_interval(kind, span):
    values = np.linspace(20.0, 30.0, 100).astype(np.float32)
    out, held = falsify(kind, values, span)
    np.testing.assert_allclose(out, values, **EXACT)
    assert math.isnan(held)


@pytest.mark.parametrize("kind", [DRIFT, SPIKE])
def test_a_missing_value_stays_missing_under_another_fault(kind):
    """Dropout and another fault of the same sensor may overlap: what is not there cannot drift or spike."""
    out, _ = falsify(kind, np.full(2000, np.nan), (0, 2000, 2000))
    assert np.isnan(out).all()
