"""The registry on disk: migrations, processes at once, kill -9, damage, anchors."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from world import START_MS, check_attempt, check_whole, email, log_of, make_world, state_of

from nexova_sim.approve import migrations, registry
from nexova_sim.approve.audit import Anchor
from nexova_sim.approve.check import Told, compare_state, tell, verify_store
from nexova_sim.approve.ledger import anchor_row, read_anchor_file, save_anchor
from nexova_sim.approve.members import NewUser, first_user, grant_token, set_roles, set_user
from nexova_sim.approve.migrations import applied, migrate
from nexova_sim.approve.people import Identity, find_user, identify, recognise, role_table
from nexova_sim.approve.registry import Deed, audited, overdue_machines, standing_of
from nexova_sim.approve.store import open_store, reading, store_url, writing
from nexova_sim.approve.token import claims_for, issue, read_token, secret_of
from nexova_sim.approve.workflow import HOUR_MS, Attempt
from nexova_sim.base.errors import ConfigError, DataError, DeniedError
from nexova_sim.config.roles import load_roles

WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture
def store(tmp_path):
    made = make_world(str(tmp_path / "r.db"))
    yield made
    made.engine.dispose()


def start(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, str(WRITER), *map(str, words)], stdout=subprocess.PIPE, text=True)


def check_processes_at_once(store, url: str) -> None:
    """Two processes on one machine and on one of their own: every attempt is recorded, the state is what is told."""
    before, n = len(log_of(store)), 30
    running = [start(url, "oli", "m1", n), start(url, "ola", "m1", n), start(url, "pia", "m2", n)]
    allowed = [int(p.communicate(timeout=120)[0]) for p in running]
    assert [p.returncode for p in running] == [0, 0, 0]
    log = log_of(store)[before:]
    assert len(log) == 3 * n and allowed[2] == n
    assert sum(e.is_allowed for e in log) == sum(allowed)
    assert len(state_of(store).requests) == sum(e.is_allowed and e.action == "submit" for e in log)
    check_whole(store)


def check_killed(store, url: str, death: str) -> None:
    """A process killed at a step of its attempt: all of it is there, or nothing."""
    before, n_before = state_of(store), len(log_of(store))
    with start(url, "oli", "m1", 1, death) as process:
        assert process.wait(60) == -9
    is_done = death == "before anchor"
    assert len(log_of(store)) == n_before + is_done
    assert (state_of(store) != before) == is_done
    report = verify_store(store)
    assert not report.findings and report.covered in (None, n_before)
    check_attempt(store, "oli", Attempt("withdraw", "m1"), START_MS + 2000)
    assert not verify_store(store).findings


def test_processes_at_once_lose_nothing(store):
    check_processes_at_once(store, store.name)


@pytest.mark.parametrize("death", ["apply", "record", "before anchor"])
def test_a_killed_process_leaves_all_or_nothing(store, death):
    check_killed(store, store.name, death)


def test_sqlite_is_set_up(tmp_path):
    opened = open_store(str(tmp_path / "sub" / "r.db"), create=True)
    with reading(opened) as c:
        found = {
            p: c.exec_driver_sql(f"PRAGMA {p}").scalar_one() for p in ("journal_mode", "foreign_keys", "busy_timeout")
        }
        assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}
        with pytest.raises(DataError, match="no role table"):
            role_table(c)
    opened.engine.dispose()


def test_the_tables_of_the_platform(store):
    names = {"users", "factories", "machines", "alerts", "machine_approvals", "audit_log", "ai_decision_log"}
    found = sa.inspect(store.engine)
    assert names <= set(found.get_table_names())
    indexes = {i["name"]: i for t in names for i in found.get_indexes(t)}
    assert indexes["idx_users_email"]["unique"] and indexes["idx_approvals_open"]["unique"]
    assert {"idx_alerts_machine_unresolved", "idx_machines_status", "idx_active_machines"} <= set(indexes)
    with pytest.raises(DataError, match="FOREIGN KEY"), writing(store) as c:
        c.exec_driver_sql("INSERT INTO alerts VALUES ('a', 'nowhere', 'x', 'INFO', '', 1, NULL)")
    with pytest.raises(DataError, match="CHECK"), writing(store) as c:
        c.exec_driver_sql("UPDATE machines SET status = 'BROKEN'")


def test_an_older_registry_is_brought_up_to_date(tmp_path, monkeypatch):
    steps = migrations.MIGRATIONS
    monkeypatch.setattr(migrations, "MIGRATIONS", steps[:1])
    monkeypatch.setattr("nexova_sim.approve.store.MIGRATIONS", steps[:1])
    old = make_world(str(tmp_path / "r.db"))
    kept = state_of(old)
    assert "alerts" not in sa.inspect(old.engine).get_table_names()
    old.engine.dispose()
    monkeypatch.undo()
    new = open_store(old.name)
    assert state_of(new) == kept and "alerts" in sa.inspect(new.engine).get_table_names()
    with writing(new) as c:
        assert sorted(applied(c)) == [1, 2] and migrate(c, "again") == 0
    check_whole(new)
    new.engine.dispose()


@pytest.mark.parametrize(("change", "message"), [
    ("INSERT INTO schema_version VALUES (99, 'x', 'y', 1)", "newer version"),
    ("UPDATE schema_version SET sha256 = 'x' WHERE version = 1; DELETE FROM schema_version WHERE version = 2",
     "not ours"),
])  # fmt: skip
def test_a_schema_that_is_not_ours_is_refused(store, change, message):
    with sqlite3.connect(store.name) as c:
        c.executescript(change)
    c.close()
    with pytest.raises(DataError, match=message):
        open_store(store.name)


def test_a_foreign_database_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "x.db") as c:
        c.execute("CREATE TABLE mine (a)")
    c.close()
    with pytest.raises(DataError, match="no registry of ours"):
        open_store(str(tmp_path / "x.db"), create=True)


def test_names_of_registries(monkeypatch):
    assert store_url(None, {}) == "results/registry.db"
    assert store_url(None, {"NEXOVA_STORE": "a.db"}) == "a.db" and store_url("b.db", {"NEXOVA_STORE": "a.db"}) == "b.db"
    for bad in ("mysql://h/d", "sqlite://", ":memory:", "://", "a\0b"):
        with pytest.raises(ConfigError):
            open_store(bad)
    with pytest.raises(DataError) as caught:
        open_store("postgresql://joe:hush-hush@localhost:1/none")
    assert "hush-hush" not in caught.value.message


@pytest.mark.parametrize("sql", [
    "UPDATE audit_log SET actor = 'x' WHERE seq = 5", "DELETE FROM audit_log WHERE seq = 5",
    "DELETE FROM audit_log WHERE seq > 8", "UPDATE audit_anchor SET count = 3", "UPDATE machines SET status = 'ONLINE'",
    "UPDATE users SET role = 'ADMIN'", "DELETE FROM audit_log",
    "INSERT INTO audit_log SELECT seq + 1, time_ms, user_id, actor, role, action, resource, is_allowed, code, detail,"
    " digest, previous FROM audit_log ORDER BY seq DESC LIMIT 1",
    "DELETE FROM audit_log WHERE seq = 10; UPDATE audit_anchor SET count = 9, head ="
    " (SELECT digest FROM audit_log WHERE seq = 9)",
])  # fmt: skip
def test_tampering_with_the_file_is_found(store, sql):
    check_whole(store)
    with sqlite3.connect(store.name) as c:
        c.executescript(sql)
    c.close()
    assert verify_store(store).findings


def test_anchors(store, tmp_path):
    with reading(store) as c:
        now = anchor_row(c)
        told = Told({}, {}, {}, [])
        assert list(tell(log_of(store), told)) == log_of(store)
        assert not compare_state(c, told)
        assert compare_state(c, told._replace(statuses={"m1": "ONLINE"}))
    assert read_anchor_file(store.anchor) == now and read_anchor_file(tmp_path / "none") is None
    save_anchor(store, Anchor(1, "a" * 64))
    assert read_anchor_file(store.anchor) == now, "an older anchor never replaces a later one"
    save_anchor(store._replace(anchor=None), now)
    assert not verify_store(store, now).findings and verify_store(store, Anchor(99, "a" * 64)).findings
    with sqlite3.connect(store.name) as c:
        c.execute("DELETE FROM audit_anchor")
    c.close()
    with pytest.raises(DataError, match="anchor is gone"):
        verify_store(store)
    store.anchor.write_text("nonsense")
    with pytest.raises(DataError, match="is no anchor"):
        verify_store(store)


def test_who_is_who(store):
    secret = "s" * 32
    with reading(store) as c:
        sue = find_user(c, email("sue"))
        good = claims_for(sue.user_id, sue.email, sue.role, sue.factory_id, 1000)
        assert recognise(c, Identity(claims=good)) == (sue, None)
        for wrong in (good._replace(role="ADMIN"), good._replace(factory=None), good._replace(sub="usr_0")):
            assert recognise(c, Identity(claims=wrong))[1].code == "FORBIDDEN"
        assert recognise(c, Identity(claims=good._replace(email="x@y")))[1].code == "UNAUTHORIZED"
        assert recognise(c, Identity())[1].code == "UNAUTHORIZED"
        assert standing_of(c, "m1").status == "OFFLINE" and standing_of(c, "m9") is None
    token = issue(secret, good)
    assert read_token(secret, token, 1000) == read_token(secret, token, 1899) == good
    for now_s in (1900, 900):
        with pytest.raises(DeniedError, match="expired or is not yet"):
            read_token(secret, token, now_s)
    environment = {"NEXOVA_JWT_SECRET": secret, "NEXOVA_TOKEN": token}
    assert secret_of(environment) == secret and secret_of({}) is None
    assert identify(None, environment, 1000).claims == good
    assert identify("Sue@plant.example", {}, 0) == Identity(email=email("sue"))


def test_members(store):
    ada = Identity(email=email("ada"))
    assert first_user(store, NewUser("x@y", "ADMIN"), load_roles(), START_MS) is None
    assert set_user(store, ada, email("vic"), "OPERATOR", START_MS).denial is None
    assert set_user(store, Identity(email=email("sue")), email("vic"), "ADMIN", START_MS).denial.code == "FORBIDDEN"
    table = load_roles().model_copy(update={"expires_after_h": 1.0})
    assert set_roles(store, ada, table, START_MS).denial is None
    assert check_attempt(store, "oli", Attempt("submit", "m1"), START_MS)
    with reading(store) as c:
        assert overdue_machines(c, START_MS) == [] and overdue_machines(c, START_MS + HOUR_MS) == ["m1"]
    outcome, claims = grant_token(store, email("oli"), START_MS)
    assert outcome.denial is None and claims.exp - claims.iat == 900
    assert grant_token(store, "x@y", START_MS)[1] is None
    check_whole(store)


def test_what_fails_in_the_middle_leaves_nothing(store):
    before, n_before = state_of(store), len(log_of(store))

    def work(connection, actor):
        connection.exec_driver_sql("UPDATE machines SET status = 'ONLINE'")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        audited(store, Identity(email=email("ada")), "x", "m1", START_MS, work)
    assert state_of(store) == before and len(log_of(store)) == n_before
    done = audited(store, Identity(email=email("ada")), "x", "m1", START_MS, lambda c, a: Deed(None, {}))
    assert done.denial is None and registry.demand(done) is done
