"""Energy opportunities: hand-made hours with known answers, phases, confidence, peaks of a flat load."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexova_sim.analyse.opportunities import Hours, analyse_machine, confidence, peak_hours, phase_of
from nexova_sim.config.opportunity import OpportunityConfig

CONFIG = OpportunityConfig()


def hours_of(power_kw, temp_c=50.0, online=1.0):
    n = len(power_kw)
    full = [np.broadcast_to(np.asarray(v, float), n).copy() for v in (power_kw, temp_c, online)]
    return Hours(*full, np.arange(n, dtype=np.int64) % 24)


def types(state):
    return {f.type: f for f in state.findings}


def test_a_flat_load_has_no_opportunity_and_no_peaks():
    state = analyse_machine(hours_of(np.full(500, 10.0)), 15.0, CONFIG)
    assert state.findings == ()
    assert (state.progress_percent, state.phase, state.mean_kw) == (100.0, "recommendation", 10.0)


def test_a_rarely_used_size_is_oversized_and_priced_as_the_platform_does():
    power = np.full(500, 5.0)
    power[7] = 20.0
    found = types(analyse_machine(hours_of(power), 20.0, CONFIG))["OVERSIZING"]
    assert found.metric == pytest.approx(power.mean() / 20.0)
    assert found.saving_usd_per_year == pytest.approx(power.mean() * 0.25 * 8760 * 0.12)
    assert found.cost_usd == pytest.approx(150.0 * 20.0 * 0.75)
    assert found.payback_years == pytest.approx(found.cost_usd / found.saving_usd_per_year)


def test_hours_off_do_not_make_a_machine_oversized():
    power = np.where(np.arange(600) % 3 == 0, 10.0, 0.2)
    state = analyse_machine(hours_of(power, online=(power > 1).astype(float)), 15.0, CONFIG)
    assert "OVERSIZING" not in types(state)
    assert state.mean_kw == pytest.approx(10.0)


def test_heat_counts_running_hours_only_and_misses_nothing_when_a_sensor_is_silent():
    temp = np.where(np.arange(500) % 5 < 2, 80.0, 60.0)
    found = types(analyse_machine(hours_of(np.full(500, 10.0), temp), 15.0, CONFIG))["THERMAL_STRESS"]
    assert found.metric == pytest.approx(0.4)
    assert found.saving_usd_per_year == pytest.approx(10.0 * 0.05 * 8760 * 0.12)
    assert analyse_machine(hours_of(np.full(500, 10.0), np.nan), 15.0, CONFIG).findings == ()


def test_peaks_must_exceed_the_mean_by_the_margin():
    hour = np.arange(480) % 24
    power = np.where(np.isin(hour, (17, 18)), 14.0, 10.0)
    assert peak_hours(hours_of(power), 0.10) == (17, 18)
    assert peak_hours(hours_of(power), 0.50) == ()
    found = types(analyse_machine(hours_of(np.tile(power[:24], 21)), 15.0, CONFIG))["PEAK_SHIFTING"]
    assert found.hours == (17, 18)
    assert found.saving_usd_per_year == pytest.approx(0.2 * 14.0 * 2 * 250 * 0.12 * 0.7)


@pytest.mark.parametrize(("n", "phase"), [
    (0, "collection"), (399, "collection"), (400, "analysis"), (499, "analysis"), (500, "recommendation"),
    (900, "recommendation"),
])  # fmt: skip
def test_phases_follow_the_window(n, phase):
    power = np.full(n, 5.0)
    power[:1] = 30.0
    state = analyse_machine(hours_of(power), 30.0, CONFIG)
    assert (state.n_hours, state.phase) == (n, phase)
    assert phase_of(min(1.0, n / 500)) == phase
    assert bool(state.findings) == (n == 500)  # at 900 hours the one large reading has left the window


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.floats(0.01, 1.0))
def test_confidence_grows_with_data_below_its_ceiling(n, more, ceiling):
    before, after = confidence(ceiling, n, 125.0), confidence(ceiling, n + more, 125.0)
    assert 0.0 <= before < after < ceiling
