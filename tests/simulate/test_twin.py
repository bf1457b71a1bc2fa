"""One machine through a scenario: time grid, events, remaining life, tables, picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from tolerances import EXACT, PHYSICS, REORDER

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.scenario import Phase, TwinChoice, load_twin
from nexova_sim.kernels.health import health_percent
from nexova_sim.kernels.rows import (
    E_COOLING,
    E_FATIGUE_PER_H,
    E_WEAR_PER_H,
    F_BEARING,
    F_THERMAL,
    LANES,
    NEVER,
    T_LOAD,
    T_RUNTIME,
    T_TEMP,
    T_WEAR,
)
from nexova_sim.report.trajectory import COLUMNS, Picture, figure_bytes, trajectory_figure
from nexova_sim.simulate.machines import machine_params, make_machines
from nexova_sim.simulate.scenarios import clock_of, coarsened, constant_effect, effect_of, phase_at, stretches, timeline
from nexova_sim.simulate.trajectory import TRAJECTORY, health_column, summarise, trajectory_table
from nexova_sim.simulate.twin import nominal_fleet, only_event, run_twin

WEEK = "two_shift_week"


def resolve(scenario="normal", settings=(), kind="pump", **choice):
    return load_twin(kind, scenario, settings, TwinChoice(**choice))


def two_phases(load_1=0.9, hours_1=6, load_2=1.3, **choice):
    phases = f"[{{hours: {hours_1}, load_frac: {load_1}}}, {{load_frac: {load_2}, ambient_c: 35}}]"
    return resolve(settings=[f"scenario.phases={phases}"], **choice)


# --- the time grid ----------------------------------------------------------------------------------------------------


def test_phases_follow_one_another_and_the_last_one_stays():
    line = timeline(two_phases(hours=24.0))
    assert (line.slot_h, line.n_steps, line.n_slots, line.sample_slots) == (300 / 3600, 5, 288, 12)
    np.testing.assert_array_equal(phase_at(line, np.array([0, 71, 72, 10**9])), [0, 0, 1, 1])


def test_a_repeated_week_starts_over():
    line = timeline(resolve(WEEK))
    week = round(168 / line.slot_h)
    slots = np.arange(week)
    np.testing.assert_array_equal(phase_at(line, slots), phase_at(line, slots + 1000 * week))
    hours = np.bincount(phase_at(line, slots)) * line.slot_h
    np.testing.assert_allclose(hours, [p.hours for p in resolve(WEEK).scenario.phases], **REORDER)


def test_stretches_cover_every_slot_once_and_hold_one_effect():
    line = timeline(resolve(WEEK))
    at = 123
    for stretch in stretches(line, 123, 9000):
        n = len(stretch.inputs.load)
        assert stretch.inputs.first_slot == at
        phase = phase_at(line, np.arange(at, at + n))
        np.testing.assert_array_equal(line.effect[phase], np.repeat(stretch.effect[None], n, axis=0))
        np.testing.assert_array_equal(stretch.inputs.load[:, 0], line.load[phase])
        np.testing.assert_array_equal(stretch.inputs.ambient_c[:, LANES - 1], line.ambient_c[phase])
        assert stretch.first_phase == phase[0]
        at += n
    assert at == 9123


def test_longer_slots_hold_the_same_phases():
    line = timeline(resolve(WEEK))
    coarse, factor = coarsened(line)
    assert (coarse.slot_h, factor) == (1.0, 12)
    slots = np.arange(2 * 168)
    np.testing.assert_array_equal(phase_at(coarse, slots), phase_at(line, slots * factor))
    assert coarsened(timeline(resolve(hours=0.35)))[0].slot_h <= 1.0


def test_effects_are_in_force_on_all_lanes_for_ever():
    phase = Phase(load_frac=0.8, cooling_frac=0.2, wear_per_h=0.01, fatigue_per_h=0.02)
    plan = constant_effect(np.array(effect_of(phase)))
    assert sorted(plan.lane) == list(range(LANES))
    assert (plan.onset_slot < 0).all()
    assert (plan.end_slot == NEVER).all()
    np.testing.assert_array_equal(
        plan.effect[:, [E_WEAR_PER_H, E_FATIGUE_PER_H, E_COOLING]], [[0.01, 0.02, 0.2]] * LANES
    )
    assert clock_of(timeline(resolve()), 3, 7).truth_slots == 7


# --- the run ----------------------------------------------------------------------------------------------------------


def test_the_machine_is_its_kind_without_spread():
    resolved = resolve(kind="motor")
    fleet = nominal_fleet(resolved)
    params = machine_params(make_machines(fleet), fleet)
    np.testing.assert_allclose(params.rise_k, resolved.kind.thermal.rise_at_rated_k, **EXACT)
    np.testing.assert_allclose(params.wear_per_mm_s_h, resolved.kind.damage.wear_per_mm_s_h, **EXACT)
    muted = only_event(params, F_BEARING, 3)
    assert muted.fatigue_per_k_h[3] == muted.electrical_per_h[3] == 0.0
    assert muted.wear_per_mm_s_h[3] == params.wear_per_mm_s_h[3] > only_event(params, F_THERMAL, 3).wear_per_mm_s_h[3]
    assert muted.fatigue_per_k_h[2] == params.fatigue_per_k_h[2] > 0.0


def test_the_last_row_is_the_end_also_off_the_grid():
    run = run_twin(resolve(hours=10.5, every_h=4.0))
    np.testing.assert_allclose(run.time_h, [0.0, 4.0, 8.0, 10.5], **REORDER)
    np.testing.assert_allclose(run.truth[:, T_RUNTIME], run.time_h, **REORDER)


def test_a_step_in_load_shows_where_it_should():
    run = run_twin(two_phases(hours=12.0, every_h=1.0))
    np.testing.assert_array_equal(run.truth[:, T_LOAD], [0.9] * 6 + [1.3] * 7)
    np.testing.assert_array_equal(run.phase, [0] * 6 + [1] * 7)
    # From the end of the first phase: 35 + 41 1.3 with 25 min, from where the first one ended.
    limit = 35.0 + 41.0 * 1.3
    start = run.truth[6, T_TEMP]
    np.testing.assert_allclose(start, 25.0 + 41.0 * 0.9 * (1.0 - np.exp(-6.0 * 60.0 / 25.0)), **REORDER)
    hours = np.arange(7.0)
    np.testing.assert_allclose(run.truth[6:, T_TEMP], limit + (start - limit) * np.exp(-hours * 60.0 / 25.0), **REORDER)


@pytest.mark.parametrize("scenario", ["overheated", "worn_bearings", WEEK])
def test_the_end_does_not_depend_on_how_long_one_looks(scenario):
    short, long = run_twin(resolve(scenario, hours=10.0)), run_twin(resolve(scenario, hours=700.0, every_h=10.0))
    assert short.first_event == long.first_event
    np.testing.assert_allclose(short.end_h, long.end_h, **PHYSICS)
    np.testing.assert_allclose(short.event_h, long.event_h, rtol=2e-5)


@pytest.mark.parametrize("scenario", ["normal", "heavy_load", "overheated", "worn_bearings", WEEK])
def test_the_first_of_the_single_events_ends_the_machine(scenario):
    run = run_twin(resolve(scenario, hours=24.0))
    assert run.first_event == np.nanargmin(run.event_h)
    np.testing.assert_allclose(np.nanmin(run.event_h), run.end_h, **PHYSICS)


def test_remaining_life_is_what_a_second_machine_started_there_lives():
    """Row 300 of one run as the start of another: the rest of the life is the same."""
    resolved = resolve("heavy_load", hours=500.0)
    table = trajectory_table(resolved, run_twin(resolved))
    row = table.slice(300, 1).to_pylist()[0]
    names = ("wear_frac", "fatigue_frac", "electrical_frac", "runtime_h", "temp_c")
    again = resolve("heavy_load", [f"scenario.start.{n}={row[n]!r}" for n in names], hours=1.0)
    np.testing.assert_allclose(run_twin(again).end_h, row["rul_h"], **PHYSICS)


def test_a_machine_that_never_runs_never_fails():
    resolved = resolve(settings=["scenario.phases.0.load_frac=0", "scenario.start.temp_c=80"], hours=10.0)
    run = run_twin(resolved)
    assert run.first_event == -1
    assert np.isnan(run.event_h).all()
    table = trajectory_table(resolved, run)
    assert table["rul_h"].null_count == table.num_rows
    np.testing.assert_allclose(table["power_kw"].to_numpy(), 0.3, **REORDER)
    np.testing.assert_allclose(table["temp_c"].to_numpy(), 25.0 + 55.0 * np.exp(-run.time_h * 60.0 / 25.0), **REORDER)
    np.testing.assert_allclose(table["health_percent"].to_numpy(), 100.0, **REORDER)
    summary = summarise(resolved, run, table)
    assert summary["first_event"] is summary["rul_start_h"] is None


def test_a_life_that_stops_for_good_has_no_end():
    run = run_twin(two_phases(load_2=0.0, hours=10.0))
    assert run.first_event == -1
    np.testing.assert_allclose(run.truth[-1, T_RUNTIME], 6.0, **REORDER)


@pytest.mark.parametrize("dt_s", [1.0, 3600.0])
def test_the_step_does_not_matter(dt_s):
    usual, other = run_twin(resolve("normal", hours=100.0)), run_twin(resolve("normal", hours=100.0, dt_s=dt_s))
    np.testing.assert_allclose(other.truth[:, :-1], usual.truth[:, :-1], **PHYSICS)
    np.testing.assert_allclose(other.end_h, usual.end_h, **PHYSICS)


def test_random_failures_come_from_the_seed_and_only_when_asked():
    calm = run_twin(resolve(hours=1.0))
    assert np.isnan(calm.event_h[4])
    ends = []
    for seed in range(12):
        run = run_twin(resolve(settings=["scenario.random_failures=true"], hours=1.0, seed=seed))
        assert run.end_h <= calm.end_h * (1.0 + 1e-9)
        np.testing.assert_allclose(run.event_h[0], calm.event_h[0], **PHYSICS)
        ends.append(run.event_h[4])
    assert len(set(ends)) == 12
    # Weibull 1.2 / 35 000 h: all twelve beyond the 99.99 % quantile or below the 0.01 % one would be a miracle.
    assert 35_000 * 1e-4 ** (1 / 1.2) < np.nanmedian(ends) < 35_000 * 9.3 ** (1 / 1.2)


def test_wear_noise_changes_with_the_seed_and_not_with_the_step():
    noisy = ["kind.damage.wear_noise_per_sqrt_h=0.002"]
    first, again, other = (run_twin(resolve(settings=noisy, hours=200.0, seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.truth, again.truth)
    assert first.end_h == again.end_h != other.end_h
    step = run_twin(resolve(settings=noisy, hours=200.0, seed=1, dt_s=10.0))
    np.testing.assert_allclose(step.truth[:, T_WEAR], first.truth[:, T_WEAR], **PHYSICS)


@pytest.mark.parametrize("setting", ["kind.thermal.rise_at_rated_k=1e300", "kind.vibration.rated_mm_s=1e200"])
def test_parameters_beyond_any_machine_are_refused(setting):
    with pytest.raises(ConfigError, match="beyond any machine"):
        run_twin(resolve(settings=[setting], hours=5.0))


def test_progress_reaches_the_end():
    seen = []
    run_twin(resolve(WEEK, hours=400.0), lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == 4800
    assert seen == sorted(seen)


# --- tables and picture -----------------------------------------------------------------------------------------------


def make_table(scenario="overheated", **choice):
    resolved = resolve(scenario, **choice)
    run = run_twin(resolved)
    return resolved, run, trajectory_table(resolved, run)


def test_the_table_has_its_columns_with_units_and_valid_values():
    resolved, run, table = make_table(hours=60.0)
    assert table.column_names == [c.name for c in TRAJECTORY]
    for item, channel in zip(table.schema, TRAJECTORY, strict=True):
        assert item.metadata[b"unit"].decode() == channel.unit
        if channel.low is not None:
            assert np.nanmin(table[channel.name].to_numpy()) >= channel.low
        if channel.high is not None:
            assert np.nanmax(table[channel.name].to_numpy()) <= channel.high
    row = table.slice(10, 1).to_pylist()[0]
    damage = (row["fatigue_frac"], row["wear_frac"], row["electrical_frac"])
    assert row["health_percent"] == health_percent(*damage, row["runtime_h"], 20000.0)
    np.testing.assert_array_equal(health_column(resolved, run.truth), table["health_percent"].to_numpy())
    assert row["power_kw"] == pytest.approx(12.0)
    assert table["status"].to_pylist() == ["ONLINE"] * 33 + ["OFFLINE"] * 28


def test_the_summary_tells_the_events():
    resolved, run, table = make_table(hours=60.0)
    summary = summarise(resolved, run, table)
    assert (summary["first_event"], summary["rows"], summary["rul_end_h"]) == ("thermal", 61, 0.0)
    states = {e["event"]: e for e in summary["events"]}
    assert list(states) == ["bearing", "thermal", "electrical", "end_of_life"]
    assert [e["threshold_met"] for e in states.values()] == [False, True, False, False]
    assert states["thermal"]["event_state"] == 0.0
    assert 0.9 < states["bearing"]["event_state"] < 1.0
    assert (
        states["bearing"]["time_of_event_h"]
        > 1000.0
        > states["thermal"]["time_of_event_h"]
        == summary["time_of_event_h"]
    )
    assert [r["risk_class"] for r in summary["risk"]] == ["HEALTHY", "WARNING", "CRITICAL"]
    np.testing.assert_allclose(summary["max_temp_c"], 25.0 + 41.0 * 0.8 / 0.2, rtol=1e-3)
    before = summarise(*make_table(hours=10.0))
    assert not any(e["threshold_met"] for e in before["events"])
    np.testing.assert_allclose(before["rul_end_h"], before["time_of_event_h"] - 10.0, **REORDER)


def draw(scenario, hours):
    _, run, table = make_table(scenario, hours=hours)
    end_h = None if run.first_event < 0 else run.end_h
    return trajectory_figure({n: table[n].to_numpy() for n in COLUMNS}, Picture("title", "subtitle", end_h, "thermal"))


@pytest.mark.parametrize(("scenario", "hours"), [("overheated", 100.0), (WEEK, 700.0)])
def test_the_picture_is_the_same_every_time(scenario, hours):
    first = {form: figure_bytes(draw(scenario, hours), form) for form in ("png", "svg")}
    assert first["png"].startswith(b"\x89PNG")
    assert ET.fromstring(first["svg"]).tag.endswith("svg")
    assert first == {form: figure_bytes(draw(scenario, hours), form) for form in ("png", "svg")}


def test_the_picture_shows_bands_failure_and_little_of_the_standstill():
    figure = draw("overheated", 400.0)
    axes = figure.axes
    assert [axis.get_title(loc="left") for axis in axes] == [
        "Temperature",
        "Vibration, RMS",
        "Damage, 1 = failed",
        "Health",
        "Remaining life",
    ]
    svg = figure_bytes(figure, "svg").decode()
    assert all(color in svg for color in ("#10b981", "#f59e0b", "#ef4444"))
    assert axes[4].get_xlim()[1] < 45.0
    assert any("thermal failure at 32.9 h" in text.get_text() for text in axes[0].texts)
    assert any("400 h" in text.get_text() for text in figure.texts)
    with pytest.raises(ValueError, match="form must be"):
        figure_bytes(figure, "gif")


@pytest.mark.parametrize("title", [r"$\frac{$ _a_ ^", "漢字 \U0001f600", ""])
def test_a_title_is_drawn_as_it_is(title):
    _, _, table = make_table(hours=5.0)
    figure = trajectory_figure({n: table[n].to_numpy() for n in COLUMNS}, Picture(title, title, None, None))
    assert figure_bytes(figure, "png")


def test_a_picture_of_a_machine_that_never_runs_can_be_drawn():
    resolved = resolve(settings=["scenario.phases.0.load_frac=0"], hours=5.0)
    table = trajectory_table(resolved, run_twin(resolved))
    picture = Picture("title", "", None, None)
    assert figure_bytes(trajectory_figure({n: table[n].to_numpy() for n in COLUMNS}, picture), "png")
