"""Ambient temperature and demand: yearly and daily waves and AR(1) noise."""

from __future__ import annotations

import numpy as np
import pytest
from naive import ar1, wave
from tolerances import EXACT, PHYSICS, REORDER, STAT

from nexova_sim.kernels.climate import HOURS_PER_YEAR, add_ar1, fill_wave

KEY = np.uint64(987654321)
SHAPE = (12.0, 9.0, 200 * 24.0, 4.0, 15.0)


def process(first: int, n: int, memory: float, deviation: float, start: float = 0.0) -> tuple[np.ndarray, float]:
    out = np.zeros(n)
    return out, add_ar1(KEY, first, memory, deviation, start, out)


@pytest.mark.parametrize("slot_h", [1 / 12, 0.25, 1.0])
def test_wave_equals_its_twin(slot_h):
    out = np.empty(5000)
    fill_wave(31.5, slot_h, 0, np.array(SHAPE), out)
    np.testing.assert_allclose(out, wave(31.5, slot_h, SHAPE, 5000), **REORDER)


def test_wave_from_a_later_slot_is_the_same_bits():
    whole, part = np.empty(5000), np.empty(1000)
    fill_wave(31.37, 1 / 12, 0, np.array(SHAPE), whole)
    fill_wave(31.37, 1 / 12, 3210, np.array(SHAPE), part)
    np.testing.assert_allclose(part, whole[3210:4210], **EXACT)


def test_wave_peaks_where_it_should():
    out = np.empty(int(HOURS_PER_YEAR) * 4)
    fill_wave(0.0, 0.25, 0, np.array(SHAPE), out)
    hours = (np.arange(len(out)) + 0.5) * 0.25
    assert abs(hours[out.argmax()] - (200 * 24 + 15)) <= 24.0
    assert out.max() == pytest.approx(12 + 9 + 4, abs=0.1)
    assert out.min() == pytest.approx(12 - 9 - 4, abs=0.1)
    assert out.mean() == pytest.approx(12, abs=0.01)
    assert hours[:96][out[:96].argmax()] == pytest.approx(15.0, abs=0.25)
    assert hours[:96][out[:96].argmin()] == pytest.approx(3.0, abs=0.25)


def test_noise_equals_its_twin():
    out, last = process(2**32 - 50, 400, 0.97, 3.0, 1.5)
    np.testing.assert_allclose(out, ar1(int(KEY), 2**32 - 50, 0.97, 3.0, 1.5, 400), rtol=1e-5, atol=1e-5)
    assert last == out[-1]


def test_noise_is_added_to_what_is_there():
    alone, _ = process(0, 100, 0.9, 2.0)
    added = np.full(100, 20.0)
    add_ar1(KEY, 0, 0.9, 2.0, 0.0, added)
    np.testing.assert_allclose(added, alone + 20.0, **REORDER)


def test_noise_in_two_parts_is_noise_in_one():
    whole, end = process(10, 500, 0.95, 3.0)
    first, state = process(10, 200, 0.95, 3.0)
    second, last = process(210, 300, 0.95, 3.0, state)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, **EXACT)
    assert last == end


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_noise_is_stationary(memory):
    n = 400_000
    out, _ = process(0, n, memory, 3.0, 3.0)
    # Standard errors of an AR(1) process grow with its correlation time.
    independent = n * (1 - memory) / (1 + memory)
    assert abs(out.mean()) < STAT * 3.0 / np.sqrt(independent)
    squares = n * (1 - memory**2) / (1 + memory**2)
    assert abs(out.var() / 9.0 - 1.0) < STAT * np.sqrt(2.0 / squares)
    lag1 = np.corrcoef(out[:-1], out[1:])[0, 1]
    assert abs(lag1 - memory) < STAT / np.sqrt(n)


def test_no_deviation_is_no_noise():
    out, last = process(0, 50, 0.9, 0.0)
    np.testing.assert_allclose(out, 0.0, **PHYSICS)
    assert last == 0.0
