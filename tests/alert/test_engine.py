"""The engine against its naive twin, for any chunking, on any readings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_alerts import naive_alerts

from nexova_sim.alert.engine import (
    Alerts,
    acknowledged_ms,
    advance,
    alerts_batch,
    collect_alerts,
    finish,
    first_state,
    run_batches,
    stream_alerts,
)
from nexova_sim.alert.rules import Machines, channel_units, compile_policy, compile_rules, read_machines
from nexova_sim.base.errors import ConfigError
from nexova_sim.config.alert import AlertPolicy, load_policy
from nexova_sim.dataset.read import open_dataset, parse_time
from nexova_sim.dataset.rows import Rows, read_rows
from nexova_sim.kernels import alert_tally as e
from nexova_sim.schema.alerts import MUTED_BY, RESOLVED_BY, alerts_schema

UNITS = {"power_kw": "kW", "temperature_c": "degC", "vibration_mm_s": "mm/s"}
STATUSES = ("ONLINE", "OFFLINE", "MAINTENANCE")
START = 1_767_571_200_000  # Monday 2026-01-05T00:00Z
NAMES = ("a", "b")
KW = np.array([10.0, math.nan])


def compiled(policy):
    return compile_rules(policy, Machines(NAMES, ("PUMP", "MOTOR"), ("x", "y"), KW), UNITS)


def rows_of(readings):
    """Readings (machine, ms, status, power, temperature, vibration), by machine, as Rows."""
    ordered = sorted(readings, key=lambda r: r[0])
    values = np.array([r[3:] for r in ordered], np.float32).reshape(-1, 3).T
    return Rows(np.array([r[0] for r in ordered], np.int32), np.array([r[1] for r in ordered], np.int64),
                np.ascontiguousarray(values), np.array([r[2] for r in ordered], np.int8))  # fmt: skip


def part(rows, low, high):
    return Rows(*(np.ascontiguousarray(x[..., low:high]) for x in rows))


def plain(ready, alerts):
    """Engine alerts as the twin's dictionaries, by machine."""
    found = {0: [], 1: []}
    policy = ready.policy

    def time(ms):
        return None if ms == e.NONE else int(ms)

    for t, v, c in zip(alerts.time, alerts.value, alerts.code, strict=True):
        found[int(c[e.MACHINE])].append({
            "rule": policy.rules[c[e.RULE]].name, "onset": time(t[0]), "raised": time(t[1]), "announced": time(t[2]),
            "reannounced": time(t[3]), "escalated": time(t[4]), "resolved": time(t[5]), "value": v[0],
            "extreme": v[1], "limit": v[2], "severity": c[e.SEVERITY], "severity_max": c[e.HIGHEST],
            "muted_by": MUTED_BY[c[e.MUTED]], "resolved_by": RESOLVED_BY[c[e.RESOLVED_WHY]],
            "is_flapping": bool(c[e.FLAPPING]), "n_readings": c[e.N_HELD],
        })  # fmt: skip
    return found


def check_same(mine, twin):
    assert len(mine) == len(twin)
    for a, b in zip(mine, twin, strict=True):
        for key in ("value", "extreme", "limit"):
            assert a[key] == pytest.approx(b[key], rel=1e-6, abs=1e-6), key
        assert {k: v for k, v in a.items() if k not in ("value", "extreme", "limit")} == {
            k: v for k, v in b.items() if k not in ("value", "extreme", "limit")
        }


RICH = AlertPolicy.model_validate({
    "name": "rich", "startup_s": 240, "on_stop": "hold", "critical_mutes": True, "group": {"window_s": 300},
    "flap": {"raises": 2, "window_s": 3600, "quiet_s": 600}, "missing": {"max_gap_s": 400, "resolve_after_s": 3000},
    "shelves": [{"machine": "a", "rule": "hot", "start": "2026-01-05T01:00:00Z", "until": "2026-01-05T02:00:00Z",
                 "owner": "shift A"}],
    "rules": [
        {"name": "hot", "alert_type": "T", "channel": "temperature_c", "on_delay_s": 60, "off_delay_s": 120,
         "filter_s": 90, "levels": [{"severity": "INFO", "limit": 65.0, "clear": 60.0},
                                    {"severity": "WARNING", "limit": 75.0, "on_delay_s": 0},
                                    {"severity": "CRITICAL", "limit": 85.0}], "applies_to": {"status": ["ONLINE"]}},
        {"name": "spike", "alert_type": "P", "channel": "power_kw", "signal": "baseline_percent",
         "baseline": "hour_of_week_or_nominal", "levels": [{"severity": "WARNING", "limit": 120.0, "clear": 110.0}]},
        {"name": "rise", "alert_type": "R", "channel": "temperature_c", "signal": "trend", "window_s": 300,
         "levels": [{"severity": "WARNING", "limit": 60.0}]},
        {"name": "still", "alert_type": "V", "channel": "vibration_mm_s", "compare": "below", "off_delay_s": 60,
         "levels": [{"severity": "WARNING", "limit": 1.0, "clear": 1.2}, {"severity": "CRITICAL", "limit": 0.5}]},
    ],
})  # fmt: skip
RESOLVING = RICH.model_copy(update={"name": "resolving", "on_stop": "resolve", "flap": None, "group": None})
SEED = load_policy("seed")

# Rounded apart from every limit by more than single precision: the twin computes in other steps.
value = st.one_of(
    st.just(math.nan),
    st.floats(0.0, 1.0).map(lambda v: round(v, 3) + 0.00017),
)
reading = st.tuples(
    st.integers(0, 1), st.sampled_from([0, 60, 60, 60, 120, 700, 4000]),
    st.sampled_from([0, 0, 0, 0, 0, 1, 2]), value, value, value,
)  # fmt: skip


@st.composite
def plants(draw):
    now = {0: START, 1: START}
    out = []
    for m, dt, s, p, t, v in draw(st.lists(reading, min_size=1, max_size=90)):
        now[m] += dt * 1000
        out.append((m, now[m], s, 5.0 + 10.0 * p, 50.0 + 45.0 * t, 2.0 * v))
    return out


def run_at(ready, rows, cuts, end_ms):
    bounds = [0, *sorted(cuts), len(rows.machine)]
    batches = [part(rows, a, b) for a, b in itertools.pairwise(bounds) if b > a]
    return collect_alerts(run_batches(ready, batches, end_ms))


@settings(max_examples=120, deadline=None)
@given(plants(), st.sampled_from([RICH, RESOLVING, SEED]), st.data())
def test_batch_is_online_is_the_naive_twin(readings, policy, data):
    ready, rows = compiled(policy), rows_of(readings)
    end_ms = int(rows.time_ms.max()) + data.draw(st.sampled_from([0, 60_000, 4_000_000]))
    whole = run_at(ready, rows, [], end_ms)
    cuts = data.draw(st.lists(st.integers(0, len(readings)), max_size=6))
    for other in (run_at(ready, rows, cuts, end_ms), run_at(ready, rows, range(len(readings)), end_ms)):
        assert all(np.array_equal(x, y) for x, y in zip(whole, other, strict=True))
    found = plain(ready, whole)
    for m, name in enumerate(NAMES):
        own = [
            (int(t), STATUSES[s], dict(zip(UNITS, map(float, v), strict=True)))
            for k, t, s, v in zip(rows.machine, rows.time_ms, rows.status, rows.values.T, strict=True)
            if k == m
        ]
        twin = naive_alerts(policy, name, KW[m], own, end_ms)
        check_same(found[m], twin)


@settings(max_examples=30, deadline=None)
@given(plants())
def test_one_open_alert_per_machine_and_rule(readings):
    ready, rows = compiled(RICH), rows_of(readings)
    alerts = run_at(ready, rows, [], int(rows.time_ms.max()))
    tags = alerts.code[:, e.MACHINE] * 10 + alerts.code[:, e.RULE]
    for tag in np.unique(tags):
        own = alerts.time[tags == tag]
        ends = np.where(own[:, e.RESOLVED] == e.NONE, np.iinfo(np.int64).max, own[:, e.RESOLVED])
        assert (ends[:-1] <= own[1:, e.RAISED]).all()
        assert (own[:, e.ONSET] <= own[:, e.RAISED]).all() and (own[:, e.RAISED] <= ends).all()


def steady(temps, dt_s=60, status=0):
    return [(0, START + k * dt_s * 1000, status, 10.0, t, 1.5) for k, t in enumerate(temps)]


def test_the_platforms_rules_judge_every_reading_for_itself():
    alerts = run_at(compiled(SEED), rows_of(steady([70, 76, 86, 75, 80])), [], START + 600_000)
    assert [int(c) for c in alerts.code[:, e.SEVERITY]] == [1, 2, 1]
    assert list((alerts.time[:, e.RAISED] - START) // 60_000) == [1, 2, 4]
    assert list(alerts.time[:, e.RESOLVED]) == [START + 120_000, START + 180_000, e.NONE]


def one_rule(**edits):
    rule = {"name": "hot", "alert_type": "T", "channel": "temperature_c",
            "levels": [{"severity": "WARNING", "limit": 75.0, "clear": 70.0}]}  # fmt: skip
    return AlertPolicy.model_validate({"name": "p", "rules": [rule | edits.pop("rule", {})], **edits})


def test_delays_and_deadband():
    policy = one_rule(rule={"on_delay_s": 120, "off_delay_s": 120})
    temps = [76, 76, 60, 76, 76, 76, 72, 72, 72, 69, 72, 69, 69, 69, 60]
    alerts = run_at(compiled(policy), rows_of(steady(temps)), [], START + 10**7)
    minutes = (alerts.time[:, [e.ONSET, e.RAISED, e.RESOLVED]] - START) // 60_000
    assert minutes.tolist() == [[3, 5, 13]]


def test_a_shelved_alert_is_announced_when_the_shelf_is_over():
    shelf = {"start": "2026-01-05T00:00:00Z", "until": "2026-01-05T00:05:00Z", "owner": "ann"}
    alerts = run_at(compiled(one_rule(shelves=[shelf])), rows_of(steady([80] * 9)), [], START + 540_000)
    assert alerts.time[0, e.ANNOUNCED] - START == 300_000 and MUTED_BY[alerts.code[0, e.MUTED]] == "shelf"


def test_state_and_state_in_stays_state_and_open_alerts_come_last():
    ready = compiled(RICH)
    before = first_state(ready)
    kept = [x.copy() for x in before]
    after, ended = advance(ready, before, rows_of(steady([90] * 5)))
    assert all(np.array_equal(x, y) for x, y in zip(before, kept, strict=True)) and len(ended.code) == 0
    last = finish(ready, after, START + 300_000)
    assert set(last.code[:, e.RULE]) == {0} and (last.time[:, e.RESOLVED] == e.NONE).all()


def test_rows_of_the_table_and_acknowledgement():
    ready = compiled(one_rule(acknowledge={"warning_s": 120.0}))
    alerts = run_at(ready, rows_of(steady([80, 80, 60, 80])), [], START + 240_000)
    batch = alerts_batch(ready, alerts, START + 240_000)
    assert batch.schema.equals(alerts_schema(), check_metadata=True)
    row = batch.to_pylist()[0]
    assert (row["machine_id"], row["unit"], row["severity"], row["resolved_by"]) == ("a", "degC", "WARNING", "clear")
    told = acknowledged_ms(ready.policy, alerts, START + 240_000)
    assert told[0] == START + 120_000 and told[1] == e.NONE  # the second only after the end of the data


def test_a_real_dataset_in_any_chunks(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    for name in ("seed", "isa18"):
        ready = compile_policy(load_policy(name), dataset)
        streamed = collect_alerts(stream_alerts(ready, dataset))
        rows = read_rows(dataset, ready.channels)
        end_ms = parse_time(dataset.manifest.end, "end")
        again = run_at(ready, rows, range(0, len(rows.machine), 997), end_ms)
        assert isinstance(streamed, Alerts) and len(streamed.code) > 5
        assert all(np.array_equal(x, y) for x, y in zip(streamed, again, strict=True))


def test_what_a_policy_asks_for_must_be_there(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    assert channel_units(dataset)["power_kw"] == "kW" and read_machines(dataset).ids == dataset.machine_ids()
    for rule, message in [
        ({"channel": "temperatur_c"}, "did you mean 'temperature_c'"),
        ({"applies_to": {"kinds": ["PUMPE"]}}, "did you mean 'PUMP'"),
        ({"applies_to": {"machines": ["lyon-pump-01"]}}, "lyon-pump-001"),
        ({"applies_to": {"factories": ["paris"]}}, "lyon"),
    ]:
        with pytest.raises(ConfigError, match=message):
            compile_policy(one_rule(rule=rule), dataset)
    shelf = {"start": "2026-01-05T00:00:00Z", "until": "2026-01-05T00:05:00Z", "owner": "ann", "machine": "x"}
    with pytest.raises(ConfigError, match=r"shelves\.0"):
        compile_policy(one_rule(shelves=[shelf]), dataset)


def test_without_a_baseline_a_rule_is_not_asked():
    ready = compiled(SEED)
    rows = rows_of([(m, START + k * 60_000, 0, 99.0, 20.0, 1.0) for m in (0, 1) for k in range(3)])
    alerts = run_at(ready, rows, [], START + 180_000)
    assert set(alerts.code[:, e.MACHINE]) == {0}
