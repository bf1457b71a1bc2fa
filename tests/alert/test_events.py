"""The event stream: every type, order, filters, bundles, pace, closed pipes."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from nexova_sim.alert import events
from nexova_sim.alert.engine import collect_alerts, stream_alerts
from nexova_sim.alert.events import TYPES, batch_lines, choose, event_statuses, paced, part_of_rows, slabs, stream_lines
from nexova_sim.alert.lines import (
    alert_lines,
    in_order,
    join_lines,
    no_lines,
    numbers,
    part_of,
    quoted,
    sensor_lines,
    side_line,
    stamps,
    status_lines,
    to_bytes,
)
from nexova_sim.alert.rules import compile_policy
from nexova_sim.base.errors import ConfigError
from nexova_sim.cli.app import run
from nexova_sim.config.alert import load_policy
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.events import Replay, Sources, parse_speed, replay, side_events


class Fake:
    """A clock that only moves when someone waits."""

    def __init__(self):
        self.t, self.waits = 0.0, []

    def now_s(self):
        return self.t

    def wait_s(self, seconds):
        self.t += seconds
        self.waits.append(seconds)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("side")
    (folder / "a.ndjson").write_text(
        '{"machineId":"lyon-pump-001","status":"APPROVED","timestamp":"2026-01-05T01:00:00Z"}'
    )
    (folder / "f.json").write_text('[{"machine_id":"lyon-pump-001","timestamp":"2026-01-05T02:00:00Z","kwh":[1,2]}]')
    (folder / "d.csv").write_text("machineId,timestamp,actionTaken\nlyon-pump-002,2026-01-05T03:00:00Z,NONE\n")
    return Sources(load_policy("seed"), folder / "a.ndjson", folder / "f.json", folder / "d.csv")


def told(dataset, sources, **how):
    out = io.BytesIO()
    clock = how.pop("clock", Fake())
    assert replay(dataset, out, Replay(**how), sources, clock) == len(out.getvalue())
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_all_types_in_order_of_time(tiny_dataset, sources, monkeypatch):
    found = told(tiny_dataset, sources)
    assert {x["type"] for x in found} == set(TYPES)
    times = [x["timestamp"] for x in found]
    assert times == sorted(times)
    n_rows = open_dataset(tiny_dataset).manifest.rows["readings"]
    assert sum(x["type"] == "sensor_update" for x in found) == n_rows
    kinds = {x["type"]: x for x in found}
    assert kinds["approval_status"]["status"] == "APPROVED" and kinds["forecast_ready"]["forecast"]["kwh"] == [1, 2]
    assert kinds["ai_decision"]["decision"]["actionTaken"] == "NONE"
    assert {"id", "machineId", "alertType", "severity", "message"} <= set(kinds["machine_alert"]["alert"])
    monkeypatch.setattr(events, "_SLAB_ROWS", 1000)
    assert told(tiny_dataset, sources) == found


def test_filters(tiny_dataset, sources):
    chosen = told(tiny_dataset, sources, channels=("lyon-pump-001", "alerts"))
    assert {x["machineId"] for x in chosen if x["type"] != "machine_alert"} == {"lyon-pump-001"}
    assert len({x["alert"]["machineId"] for x in chosen if x["type"] == "machine_alert"}) > 1
    assert {x["type"] for x in told(tiny_dataset, sources, types=("machine_status",))} == {"machine_status"}
    with pytest.raises(ConfigError, match="machine_alert"):
        choose(open_dataset(tiny_dataset), ("machine_alrt",))
    with pytest.raises(ConfigError, match="lyon-pump-001"):
        choose(open_dataset(tiny_dataset), (), ("lyon-pump-01",))


def test_bundles_hold_the_same_events_within_two_seconds(tiny_dataset, sources):
    single = told(tiny_dataset, sources, end="2026-01-05T04:00:00Z")
    bundled = told(tiny_dataset, sources, end="2026-01-05T04:00:00Z", types=("batch_update",))
    assert {x["type"] for x in bundled} == {"batch_update"}
    assert [m for x in bundled for m in x["messages"]] == single
    for x in bundled:
        spans = [np.datetime64(m["timestamp"][:-1]) for m in x["messages"]]
        assert np.datetime64(x["timestamp"][:-1]) - spans[0] == np.timedelta64(2000, "ms")
        assert spans[-1] - spans[0] < np.timedelta64(2000, "ms")


def test_pace_follows_the_given_clock(tiny_dataset, sources):
    clock = Fake()
    found = told(tiny_dataset, sources, speed=60.0, end="2026-01-05T00:30:00Z", clock=clock)
    assert clock.t == pytest.approx(29.0) and len(clock.waits) == 29 and len(found) > 200
    assert parse_speed("60x") == 60.0 and parse_speed("max") is None
    for text in ("0x", "fast", "-1", "nan", "infx"):
        with pytest.raises(ConfigError, match="60x"):
            parse_speed(text)


def test_lines_are_json_whatever_the_names():
    names = ('a"b\\', "line\nbreak", "工")
    status = status_lines(np.arange(3), np.array([5, 6, 7]), np.zeros(3, int), names, 0)
    assert [json.loads(t.as_py())["machineId"] for t in status.text] == list(names)
    assert json.loads(side_line("ai_decision", names[0], {"x": 1}, "t"))["decision"] == {"x": 1}
    assert numbers(np.array([1.5, np.nan, np.inf], np.float32)).to_pylist() == ["1.5", "null", "null"]
    assert stamps(np.array([0])).to_pylist() == ['"1970-01-01T00:00:00.000Z"'] and quoted(["a"]) == ['"a"']
    back = in_order(join_lines([part_of(status, 6, 9), part_of(status, 0, 6)]))
    assert to_bytes(back) == to_bytes(status) and to_bytes(no_lines()) == b""
    assert len(part_of_rows(status, 2).time_ms) == 1 and to_bytes(next(batch_lines([status]))).count(b"\n") == 1
    assert b"".join(paced([status], None, Fake())) == to_bytes(status)


def test_parts_of_the_stream(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    chosen = choose(dataset, ("sensor_update", "machine_status"))
    others = event_statuses(dataset, chosen)
    bounds = list(slabs(dataset, 0, 10))
    assert bounds == [(0, 10)] and len(others.time_ms) > 8
    n = sum(len(x.time_ms) for x in stream_lines(dataset, chosen, others, *SPAN))
    assert n == dataset.manifest.rows["readings"] + len(others.time_ms)
    ready = compile_policy(load_policy("isa18"), dataset)
    lines = alert_lines(ready, collect_alerts(stream_alerts(ready, dataset)), SPAN[1], 2)
    assert all(json.loads(t.as_py())["alert"] for t in lines.text) and sensor_lines.__doc__


SPAN = (1_767_571_200_000, 1_767_744_000_000)


@pytest.mark.parametrize(
    ("text", "code"), [("{", 3), ('{"a":1}', 3), ("[1]", 3), ('{"machineId":"x","timestamp":"?"}', 3)]
)
def test_broken_side_files(tiny_dataset, tmp_path, capsys, text, code):
    (tmp_path / "d.json").write_text(text)
    assert run(["events", "replay", str(tiny_dataset), "--decisions", str(tmp_path / "d.json")]) == code
    assert run(["events", "replay", str(tiny_dataset), "--speed", "quick"]) == 2
    assert "Traceback" not in capsys.readouterr().err and side_events.__doc__


def test_a_reader_that_goes_away_ends_it_cleanly(tiny_dataset):
    command = [sys.executable, "-m", "nexova_sim", "events", "replay", str(tiny_dataset)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["type"] == "machine_status"
    process.stdout.close()
    assert process.wait(timeout=60) == 0 and process.stderr.read() == b""
    process.stderr.close()
