"""KPIs, detection and comparison on alerts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nexova_sim.alert.compare import alert_changes, event_changes, make_episodes, without_match
from nexova_sim.alert.detection import Truth, add_found, detection, new_found, read_truth
from nexova_sim.alert.engine import NONE, Alerts
from nexova_sim.alert.kpi import (
    Span,
    add_alerts,
    chatter_window_ms,
    flood_slots,
    make_console,
    new_tally,
    summarise,
)
from nexova_sim.alert.rules import Machines, compile_rules
from nexova_sim.config.alert import Operators, load_policy
from nexova_sim.dataset.read import open_dataset
from nexova_sim.kernels import alert_tally as e

MIN, HOUR, DAY = 60_000, 3_600_000, 86_400_000
POLICY = load_policy("isa18")
MACHINES = Machines(("a", "b", "c"), ("PUMP",) * 3, ("x", "x", "y"), np.full(3, 10.0))
UNITS = {"power_kw": "kW", "temperature_c": "degC", "vibration_mm_s": "mm/s"}


def alert(machine, raised, resolved, rule=0, severity=1, again=NONE, announced=None):
    told = raised if announced is None else announced
    time = [raised, raised, told, again, again, resolved]
    return time, [80.0, 81.0, 75.0], [machine, rule, severity, 2 if again != NONE else severity, 0, 1, 0, 3]


def alerts(*rows):
    time, value, code = zip(*rows, strict=True)
    return Alerts(np.array(time, np.int64), np.array(value), np.array(code, np.int64))


def summary(found, span, batches=1):
    console = make_console(POLICY.operators, MACHINES)
    tally = new_tally(console, span, len(POLICY.rules), POLICY.targets)
    for part in np.array_split(np.arange(len(found.code)), batches):
        add_alerts(tally, Alerts(*(x[part] for x in found)), console, span, POLICY.targets)
    return summarise(tally, console, span, POLICY, MACHINES)


def test_what_operators_are_told():
    found = alerts(alert(0, 5, 9), alert(1, 6, 9, again=8), alert(2, 7, 9, announced=NONE))
    x, y = summary(found, Span(0, HOUR, 2000))["operators"]
    assert (x["announced"], x["by_severity"]) == (3, {"INFO": 0, "WARNING": 2, "CRITICAL": 1})
    assert (y["announced"], y["alerts"]) == (0, 1)


def test_rates_per_operator():
    found = alerts(*(alert(0, k * MIN, k * MIN + 1) for k in range(12)), alert(2, 5 * HOUR, NONE))
    span = Span(0, 10 * HOUR, 2000)
    told = summary(found, span)
    x, y = told["operators"]
    assert (x["operator"], x["kpi"]["average_per_h"], x["kpi"]["peak_10_min"]) == ("x", 1.2, 10)
    assert x["is_met"]["peak_10_min"] and x["is_met"]["average_per_h"] and not x["is_met"]["top_10_frac"]
    assert y["announced"] == 1 and y["kpi"]["priority_frac"] == [0.0, 1.0, 0.0]
    assert told["per_operator_hour"] == pytest.approx(13 / 10 / 2)
    assert [w["announced"] for w in told["worst_tags"]] == [12, 1]


@pytest.mark.parametrize("batches", [1, 2, 5])
def test_three_in_a_minute_chatter_also_across_batches(batches):
    quick = [alert(0, t, t + 1) for t in (0, 20_000, 60_000, 10 * MIN, 20 * MIN)]
    slow = [alert(1, t, t + 1) for t in (0, 20_000, 61_000)]
    found = summary(alerts(*quick, *slow), Span(0, HOUR, 2000), batches)
    assert found["chattering"] == 1 and found["operators"][0]["kpi"]["chattering"] == 1


def test_sparse_readings_can_chatter_too():
    assert chatter_window_ms(POLICY.targets, Span(0, DAY, 60_000)) == 240_000
    assert chatter_window_ms(POLICY.targets, Span(0, DAY, 2_000)) == 60_000


def test_a_flood_lasts_until_fewer_than_five():
    slots = np.array([0, 9, 10, 5, 4, 9, 0, 12, 6, 0])
    assert flood_slots(slots, 10, 5).tolist() == [False, False, True, True, False, False, False, True, True, False]


def test_stale_counts_alerts_older_than_a_day_on_the_worst_day():
    found = alerts(alert(0, 0, 3 * DAY), alert(1, DAY // 2, NONE, rule=1), alert(1, 0, DAY, rule=2))
    told = summary(found, Span(0, 4 * DAY, 60_000))
    assert told["operators"][0]["kpi"]["stale_per_day"] == 2


def test_operators_share_machines_evenly():
    many = Machines(tuple("abcdef"), ("P",) * 6, tuple("xxxxyy"), np.ones(6))
    console = make_console(Operators(per="factory", count=2), many)
    assert console.names == ("x-1", "x-2", "y-1", "y-2") and console.of_machine.tolist() == [0, 1, 0, 1, 2, 3]
    assert make_console(Operators(per="plant"), many).names == ("plant",)


TRUTH = Truth(np.array([0, 1, 2]), np.array([10, 10, 500]) * HOUR, np.array([20, 20, 668]) * HOUR,
              ("imbalance", "overload", "failure: bearing"))  # fmt: skip


def test_recall_precision_and_delay():
    span = Span(0, 1000 * HOUR, 60_000)
    found = new_found(TRUTH)
    for part in (
        alerts(alert(0, 9 * HOUR, 10 * HOUR), alert(0, 12 * HOUR, 13 * HOUR)),
        alerts(alert(2, 600 * HOUR, NONE), alert(1, 20 * HOUR, NONE)),
    ):
        add_found(found, TRUTH, part, span)
    told = detection(found, TRUTH, span)
    rows = {row["kind"]: row for row in told["kinds"]}
    assert rows["all faults"]["recall_frac"] == 0.5 and rows["imbalance"]["delay_median_h"] == 2.0
    assert rows["overload"]["found"] == 0 and rows["failure: bearing"]["found"] == 1
    assert told["precision_frac"] == 0.25 and told["precision_with_failures_frac"] == 0.5
    assert 0.0 <= rows["all faults"]["chance_frac"] < 0.1


def test_always_alarm_is_no_better_than_chance():
    span = Span(0, 1000 * HOUR, 60_000)
    found = new_found(TRUTH)
    always = alerts(*(alert(m, t * HOUR, t * HOUR + 1) for m in range(3) for t in range(1000)))
    add_found(found, TRUTH, always, span)
    row = detection(found, TRUTH, span)["kinds"][0]
    assert row["recall_frac"] == row["chance_frac"] == 1.0


def test_truth_of_a_dataset(tiny_dataset):
    truth = read_truth(open_dataset(tiny_dataset))
    assert truth is not None and len(truth.kind) == len(truth.machine) == len(truth.is_failure)
    assert (truth.onset_ms < truth.end_ms).all() and "cooling_loss" in truth.kind


def test_alerts_gained_and_lost():
    ready = compile_rules(POLICY, MACHINES, UNITS)
    channels = ("temperature_c", "power_kw", "vibration_mm_s")
    a = make_episodes(ready, channels, alerts(alert(0, 0, 10), alert(0, 10, 20), alert(0, 50, 60), alert(1, 0, 5)), 99)
    b = make_episodes(ready, channels, alerts(alert(0, 15, 30), alert(2, 90, NONE)), 99)
    assert a.n_alerts.tolist() == [2, 1, 1] and b.end_ms.tolist() == [30, 99]
    assert without_match(a, b).tolist() == [False, True, True]
    told = alert_changes(a, b)
    assert (told["alerts_lost"], told["episodes_gained"], told["announced_b"]) == (2, 1, 2)
    span, found = Span(0, 1000 * HOUR, 60_000), [new_found(TRUTH), new_found(TRUTH)]
    add_found(found[0], TRUTH, alerts(alert(0, 12 * HOUR, NONE), alert(1, 11 * HOUR, NONE)), span)
    add_found(found[1], TRUTH, alerts(alert(0, 15 * HOUR, NONE)), span)
    events = event_changes(TRUTH, *found)
    assert (events["found_a"], events["found_b"], events["missed_by_b_only"], events["later_median_h"]) == (
        2,
        1,
        1,
        3.0,
    )
    assert events["missed_by_b_kinds"] == {"overload": 1} and e.NONE == NONE
