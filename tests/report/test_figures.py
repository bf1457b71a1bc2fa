"""Figures: the same bytes, harmless text, everything that is in the data, and no colour but the page's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import numpy as np
import pytest

from nexova_sim.report.figures import Envelope, MachineView, machine_figure, power_figure
from nexova_sim.report.layout import MOST_LANES, FaultSpan, fault_groups, merged, time_ticks
from nexova_sim.report.states import CRITICAL, HEALTHY, MAINTENANCE, NO_DATA, OFFLINE, Run

HOUR = 3_600_000
START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)
N = 96
EDGES = START + HOUR * np.arange(N + 1)
NOTHING = Envelope(*[np.full(N, np.nan)] * 3)


def envelope(middle, size):
    mean = middle + size * np.sin(np.arange(N) / 5)
    return Envelope(mean - size, mean + size, mean)


def view(**changes):
    runs = (
        Run(0, 40, HEALTHY),
        Run(40, 50, OFFLINE),
        Run(50, 60, MAINTENANCE),
        Run(60, 70, NO_DATA),
        Run(70, N, CRITICAL),
    )
    base = MachineView(EDGES, envelope(10, 2), envelope(50, 8), envelope(2, 0.5), runs, (), (), 9.0)
    return base._replace(**changes)


def fault(first_h, last_h, name="cooling_loss", sensor=False):
    return FaultSpan(START + first_h * HOUR, START + last_h * HOUR, name, sensor)


def texts(svg):
    return [e.text for e in ElementTree.fromstring(svg.replace("xlink:href", "href")).iter() if e.tag == "text"]


def test_same_view_gives_the_same_bytes():
    shown = view(faults=(fault(5, 20),), failures_ms=(int(EDGES[40]),))
    assert machine_figure(shown, 1080, "a") == machine_figure(shown, 1080, "a")


def test_figure_names_quantities_with_units_and_marks_faults_and_failures():
    bare = machine_figure(view(), 1080)
    full = machine_figure(
        view(faults=(fault(5, 20), fault(30, 40, "stuck", True)), failures_ms=(int(EDGES[40]),)), 1080
    )
    assert {"Power, kW", "Temperature, °C", "Vibration, mm/s", "6 Jan"} <= set(texts(bare))
    assert {"cooling_loss", "stuck"} <= set(texts(full)) - set(texts(bare))
    assert "var(--fault)" in full and "var(--sensor)" in full and "var(--fault)" not in bare
    assert full.count("stroke: var(--critical)") == 2 and "stroke: var(--critical)" not in bare


def test_every_colour_is_one_of_the_page():
    svg = machine_figure(view(faults=(fault(5, 20),), failures_ms=(int(EDGES[40]),)), 1080)
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    assert {"var(--healthy)", "var(--offline)", "var(--critical)", "var(--maintenance)"} <= set(
        re.findall(r"var\(--\w+\)", svg)
    )


@pytest.mark.parametrize("name", [
    "<script>alert(1)</script>", "$\\frac{1}{0}$ $", "漢字 ÄÖ \U0001f980", "]]> --> @@0@@ @@1@@",
    '"&amp;" onload=x', "#0a00f7", "a\nb",
])  # fmt: skip
def test_hostile_names_are_text(name):
    svg = machine_figure(view(faults=(fault(5, 20, name), fault(40, 60, "plain", True))), 1080)
    assert name in texts(svg) and "plain" in texts(svg)
    assert "<script" not in svg


def test_ids_of_figures_are_apart_and_nothing_reaches_outside():
    svg = machine_figure(view(faults=(fault(5, 20),)), 1080, "k7")
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert ids and all(i.startswith("k7") for i in ids) and len(ids) == len(set(ids))
    assert {*re.findall(r"url\(#([^)]*)\)", svg), *re.findall(r'href="#([^"]*)"', svg)} <= set(ids)
    assert not re.search(r"https?:|<style|<!--|<metadata|DOCTYPE", svg)


def test_missing_channels_take_no_room_and_gaps_stay_gaps():
    full = float(re.search(r'viewBox="0 0 \d+ ([\d.]+)"', machine_figure(view(), 1080))[1])
    only_power = machine_figure(view(temperature=NOTHING, vibration=NOTHING), 1080)
    assert float(re.search(r'viewBox="0 0 \d+ ([\d.]+)"', only_power)[1]) < full
    assert "Temperature, °C" not in texts(only_power) and "Vibration, mm/s" not in texts(only_power)
    assert "Power, kW" in texts(machine_figure(view(), 348))
    nothing = machine_figure(view(power=NOTHING, temperature=NOTHING, vibration=NOTHING), 1080)
    assert "Power, kW" not in texts(nothing) and "var(--healthy)" in nothing
    one = np.full(N, np.nan)
    one[30] = 7.0
    lonely = machine_figure(view(power=Envelope(one - 1, one + 1, one), temperature=NOTHING, vibration=NOTHING), 1080)
    assert lonely.count("var(--power)") > only_power.count("var(--power)")


def test_constant_and_tiny_readings_are_drawn():
    flat = Envelope(*[np.zeros(N)] * 3)
    assert "Power, kW" in texts(machine_figure(view(power=flat, temperature=flat, vibration=flat), 1080))


def test_power_figure_draws_a_line_per_factory():
    lines = [("a", np.arange(N, dtype=float)), ("b<i>", np.full(N, 5.0))]
    svg = power_figure(EDGES, lines, 1080)
    assert "var(--series0)" in svg and "var(--series1)" in svg and "var(--series2)" not in svg
    assert svg == power_figure(EDGES, lines, 1080)
    many = power_figure(EDGES, [(str(i), np.full(N, float(i))) for i in range(12)], 1080)
    assert "var(--series7)" in many and "var(--series8)" not in many


def test_fault_names_never_overlap_and_repeated_ones_share_a_name():
    spans = [fault(0, 5, "a"), fault(2, 9, "b"), fault(6, 7, "a"), fault(60, 62, "a")]
    groups = fault_groups(spans, 10 * HOUR)
    assert [(g.label, g.lane) for g in groups] == [("a \u00d72", 0), ("b", 1), ("a", 0)]
    crowd = fault_groups([fault(i, i + 50, f"f{i}") for i in range(30)], HOUR)
    assert len(crowd) == MOST_LANES and {g.lane for g in crowd} == set(range(MOST_LANES))
    assert fault_groups([], HOUR) == []


def test_merged_spans_cover_the_same_time():
    spans = [fault(10, 12), fault(0, 5), fault(4, 6), fault(30, 31)]
    assert merged(spans, 0) == [
        (START, START + 6 * HOUR),
        (START + 10 * HOUR, START + 12 * HOUR),
        (START + 30 * HOUR, START + 31 * HOUR),
    ]
    assert len(merged(spans, 4 * HOUR)) == 2


@pytest.mark.parametrize(("hours", "most", "first", "n"), [
    (2 / 60, 8, "5 Jan", 3), (48, 8, "5 Jan", 5), (9.5 * 24, 12, "5 Jan", 10), (9.5 * 24, 5, "5 Jan", 5),
    (365 * 24, 17, "Feb 2026", 12), (20 * 365 * 24, 12, "Jan 2028", 9),
])  # fmt: skip
def test_times_are_round_and_few(hours, most, first, n):
    ticks = time_ticks(START, START + round(hours * HOUR), most)
    assert ticks[0][1] == first and len(ticks) == n
    assert all(START <= ms <= START + hours * HOUR for ms, _ in ticks)
    assert [ms for ms, _ in ticks] == sorted({ms for ms, _ in ticks})
