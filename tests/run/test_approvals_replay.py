"""Replays from files: scripts, alert runs, the folder they leave, the stage and the chapter."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nexova_sim.approve.audit import Entry, parse_anchor, verify_chain
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.alert import load_policy
from nexova_sim.config.approval import FromAlerts, load_approval
from nexova_sim.report.approvals import approvals_html, bars
from nexova_sim.run import approvals_replay as verb
from nexova_sim.run.alerts import run_alerts
from nexova_sim.run.approvals_script import from_alerts, read_script
from nexova_sim.run.bench_approvals import registry_rate, replay_rate, verify_rate, write_script
from nexova_sim.schema.approvals import approvals_schema

HEAD = "at,machine_id,action,by"


@pytest.fixture(scope="module")
def alert_folder(tiny_dataset, tmp_path_factory):
    return run_alerts(tiny_dataset, load_policy("seed"), tmp_path_factory.mktemp("alerts") / "run").folder


def test_a_replay_leaves_a_whole_folder(tmp_path):
    script = verb.find_script("configs/approval/example.yaml")
    done = verb.replay_approvals(script, load_approval(), tmp_path / "out")
    assert not done.was_there
    entries = [Entry(**json.loads(line)) for line in (done.folder / verb.AUDIT).read_text().splitlines()]
    anchor = parse_anchor(done.summary["audit"], "summary")
    assert verify_chain(entries, {"summary": anchor}) == []
    assert verify_chain(entries[:-1], {"summary": anchor})
    attempts = pq.read_table(done.folder / verb.ATTEMPTS)
    assert attempts.schema.equals(approvals_schema("attempts"), check_metadata=True)
    assert attempts.num_rows == len(entries) == done.summary["attempts"]
    assert attempts["denied"].drop_null().to_pylist() == ["CONFLICT", "FORBIDDEN", "FORBIDDEN", "APPROVAL_NEEDED"]
    requests = pq.read_table(done.folder / verb.REQUESTS)
    assert requests.schema.equals(approvals_schema("requests"), check_metadata=True)
    assert sorted(requests["state"].to_pylist()) == ["APPROVED", "APPROVED", "APPROVED", "WITHDRAWN"]
    again = verb.replay_approvals(script, load_approval(), tmp_path / "out")
    assert again.was_there
    assert again.summary == done.summary
    whole = (done.folder / verb.SUMMARY).read_text()
    (done.folder / verb.SUMMARY).write_text("}" + whole[1:])
    with pytest.raises(DataError, match="damaged"):
        verb.replay_approvals(script, load_approval(), tmp_path / "out")
    assert not verb.replay_approvals(script, load_approval(), tmp_path / "out", overwrite=True).was_there
    assert (done.folder / verb.SUMMARY).read_text() == whole
    other = verb.replay_approvals(script, load_approval(), tmp_path / "second")
    for name in (verb.ATTEMPTS, verb.REQUESTS, verb.SUMMARY, verb.AUDIT):
        assert (other.folder / name).read_bytes() == (done.folder / name).read_bytes()
    assert verb.default_folder(script, load_approval()).name == done.run_id
    assert verb.script_hash(tmp_path / "none") == ""
    (tmp_path / "isa18-tiny" / "0123456789ab").mkdir(parents=True)
    names = [verb.default_folder(p, load_approval()).parent.name for p in
             (script, tmp_path / "isa18-tiny", tmp_path / "isa18-tiny" / "0123456789ab")]  # fmt: skip
    assert names == ["example", "isa18-tiny", "isa18-tiny"]


def test_csv_and_yaml_say_the_same(tmp_path):
    csv = tmp_path / "s.csv"
    csv.write_text(
        "at,machine_id,action,by,role,is_agent,subject,comment\n"
        "2026-01-05T08:00:00Z,m1,submit,oli@x,,no,,\n"
        "2026-01-05T07:00:00+01:00,m2,submit,bot@x,OPERATOR,true,,hi\n"
    )
    yaml = tmp_path / "s.yaml"
    yaml.write_text(
        "attempts:\n  - {at: 2026-01-05T08:00:00Z, machine_id: m1, action: submit, by: oli@x}\n"
        "  - {at: 2026-01-05T06:00:00Z, machine_id: m2, action: submit, by: bot@x, is_agent: true, comment: hi}\n"
    )
    first, second = read_script(csv, FromAlerts()), read_script(yaml, FromAlerts())
    assert first.rows == second.rows
    assert [r.machine_id for r in first.rows] == ["m2", "m1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "columns are none"),
        (HEAD + "\n", "no rows"),
        ("at,machine_id,action\n", "needed: at, machine_id, action, by"),
        (HEAD + ",rool\n", "did you mean 'role'"),
        (HEAD + ",by\n", "each once"),
        (HEAD + "\n2026-01-05T08:00:00Z,m1,submit\n", "another number of cells"),
        (HEAD + "\n2026-01-05T08:00:00Z,m1,submit,o,x\n", "another number of cells"),
        (HEAD + "\n2026-01-05T08:00:00,m1,submit,o\n", "time zone"),
        (HEAD + "\nnoon,m1,submit,o\n", ":2: at"),
        (HEAD + "\n2026-01-05T08:00:00Z,m1,destroy,o\n", ":2: action"),
        (HEAD + "\n2026-01-05T08:00:00Z,,submit,o\n", "machine_id"),
        (HEAD + "\n0001-01-01T00:00:00Z,m,submit,o\n", "between 1971 and 2199"),
        (HEAD + "\n9999-12-31T23:59:59Z,m,submit,o\n", "between 1971 and 2199"),
        (HEAD + "\n2026-01-05T08:00:00Z,m,submit,o\n2126-01-05T08:00:00Z,m,submit,o\n", "more than 3700 days"),
        (HEAD + "\n2026-01-05T08:00:00Z,m\0,submit,o\n", "no text"),
        (HEAD + ",is_agent\n2026-01-05T08:00:00Z,m,submit,o,perhaps\n", "is_agent: expected true or false"),
    ],
)
def test_a_bad_csv_is_refused_with_its_line(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.csv") as error:
        read_script(path, FromAlerts())
    assert words in error.value.message


def test_other_bad_scripts(tmp_path):
    for name, data, words in (
        ("a.txt", b"x", ".yaml or .csv"), ("b.yaml", b"- 1\n", "mapping"), ("c.yaml", b"attempts: []\n", "attempts"),
        ("d.csv", b"\xff\xfe", "UTF-8"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError, match=words):
            read_script(tmp_path / name, FromAlerts())
    with pytest.raises(ConfigError, match=r"cannot be read"):
        read_script(tmp_path / "none.csv", FromAlerts())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no alerts\.parquet"):
        read_script(tmp_path / "empty", FromAlerts())
    early = tmp_path / "e.yaml"
    early.write_text("until: 2026-01-01T00:00:00Z\nattempts:\n"
                     "  - {at: 2026-01-05T08:00:00Z, machine_id: m1, action: submit, by: o}\n")  # fmt: skip
    with pytest.raises(ConfigError, match="ends before its first attempt"):
        verb.replay_approvals(early, load_approval(), tmp_path / "o")
    early.write_text(early.read_text().replace("until: 2026", "until: 2126"))
    with pytest.raises(ConfigError, match="earlier moment"):
        verb.replay_approvals(early, load_approval(), tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_replay_of_a_moment(tmp_path):
    (tmp_path / "s.csv").write_text(HEAD + "\n2026-01-05T08:00:00Z,m,submit,o\n")
    part = load_approval(settings=["expires_after_h=1.0e-9"])
    found = verb.replay_approvals(tmp_path / "s.csv", part, tmp_path / "o").summary
    assert found["outcomes"]["EXPIRED"] == 1
    assert found["denied"] == 0
    assert max(found["timeline"]["most_open"]) == 1


def test_alerts_become_requests(alert_folder, tmp_path):
    kept = pq.read_table(alert_folder / "alerts.parquet").to_pylist()
    grave = [r for r in kept if (r["announced"] if r["severity"] == "CRITICAL" else r["reannounced"]) is not None
             and r["severity_max"] == "CRITICAL"]  # fmt: skip
    read = from_alerts(alert_folder, FromAlerts(), {grave[0]["machine_id"]: "f9"} if grave else {})
    assert len(read.rows) == len(grave) > 0
    assert read.is_registered
    assert all(r.is_agent and r.subject == "MAINTENANCE" for r in read.rows)
    assert sum(r.until_ms is not None for r in read.rows) == sum(r["resolved"] is not None for r in grave)
    assert all(r.until_ms is None for r in from_alerts(alert_folder, FromAlerts(withdraw=False)).rows)
    assert {r.factory_id for r in read.rows} <= {"f9", "plant"}
    done = verb.replay_approvals(alert_folder, load_approval(), tmp_path / "out")
    assert done.summary["requests"] >= 1
    html, css = approvals_html(done.folder)
    assert "Open requests over time" in html
    assert "</style" not in css
    shown = bars(done.summary["lead_histogram"])
    assert sum(bar.n_requests for bar in shown) == sum(done.summary["lead_histogram"]["counts"])
    (done.folder / "summary.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        approvals_html(done.folder)


def test_hostile_names_stay_text_in_the_chapter(tmp_path):
    script = tmp_path / "h.yaml"
    script.write_text(
        "attempts:\n  - {at: 2026-01-05T08:00:00Z, machine_id: '<script>alert(1)</script>', action: submit, "
        "by: '<img src=x onerror=alert(2)>'}\nuntil: 2026-01-05T08:00:01Z\n"
    )
    part = load_approval(settings=["reviewers=[{email: '<b>x</b>', role: ADMIN}]"])
    done = verb.replay_approvals(script, part, tmp_path / "out")
    html, _ = approvals_html(done.folder)
    assert "<script>" not in html
    assert "<img" not in html
    assert "<b>x" not in html


def test_benchmark_script_is_played(tmp_path):
    write_script(tmp_path / "s.csv", 30, 10)
    assert len(read_script(tmp_path / "s.csv", FromAlerts()).rows) == 40
    assert replay_rate(50) > 0
    assert registry_rate(4) > 1.0
    assert verify_rate(4) > 1.0


def test_an_alert_that_grew_grave_asks_when_the_operator_was_told(tmp_path):
    from datetime import UTC, datetime

    from nexova_sim.schema.alerts import alerts_schema

    def moment(hour):
        return None if hour is None else datetime(2026, 1, 5, hour, tzinfo=UTC)

    rows = [
        {"machine_id": name, "rule": "temperature", "severity": first, "severity_max": worst,
         "announced": moment(announced), "reannounced": moment(again), "resolved": moment(9)}
        for name, first, worst, announced, again in (
            ("at-once", "CRITICAL", "CRITICAL", 2, None), ("later", "WARNING", "CRITICAL", 1, 3),
            ("never", "WARNING", "WARNING", 1, None), ("muted", "CRITICAL", "CRITICAL", None, None),
            ("muted-later", "WARNING", "CRITICAL", 1, None))
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, pa.schema([f for f in alerts_schema() if f.name in rows[0]]))
    pq.write_table(table, tmp_path / "alerts.parquet")
    found = from_alerts(tmp_path, FromAlerts())
    assert [(r.machine_id, r.time_ms // 3_600_000 % 24, r.until_ms // 3_600_000 % 24) for r in found.rows] == [
        ("at-once", 2, 9), ("later", 3, 9)]  # fmt: skip
    assert len(from_alerts(tmp_path, FromAlerts(severity="WARNING")).rows) == 4


def test_changes_feed_the_event_stream(alert_folder, tiny_dataset, tmp_path, capsys):
    done = verb.replay_approvals(alert_folder, load_approval(settings=["alerts.severity=WARNING"]), tmp_path / "out")
    source = str(done.folder / verb.EVENTS)
    assert run(["events", "replay", str(tiny_dataset), "--types", "approval_status", "--approvals", source]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {e["type"] for e in events} == {"approval_status"}
    assert {e["status"] for e in events} >= {"PENDING", "WITHDRAWN"}
