"""The registry on a real PostgreSQL: a private server on a socket in a temporary folder, gone with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from test_mutants import STORY
from test_store import check_killed, check_processes_at_once
from world import START_MS, check_attempt, log_of, make_world

from nexova_sim.approve.check import verify_store
from nexova_sim.approve.ledger import anchor_row, save_anchor
from nexova_sim.approve.store import reading
from nexova_sim.approve.workflow import HOUR_MS, Attempt


def binary(name: str) -> str | None:
    """A server program: on the path, or where distributions keep it."""
    found = sorted(str(p) for p in Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (found[-1] if found else None)


@pytest.fixture(scope="module")
def server():
    """The socket folder of a running server and the name of its owner."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: PostgreSQL is not tested")
    initdb, postgres = binary("initdb"), binary("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server binaries (initdb, postgres) here: only SQLite is tested")
    # Not pytest's folder: the server refuses to run as root, and root's folders are closed to others.
    folder = Path(tempfile.mkdtemp(prefix="nexova-pg-"))
    owner = pwd.getpwuid(os.geteuid())
    if os.geteuid() == 0:
        owner = pwd.getpwnam("nobody")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    quiet = {
        "cwd": folder,
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.STDOUT,
        **who,
    }
    make = [initdb, "-D", str(folder / "data"), "-A", "trust", "-U", "nexova", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run(make, check=True, **quiet)
    serve = [postgres, "-D", str(folder / "data"), "-k", str(folder), "-c", "listen_addresses=", "-F"]
    process = subprocess.Popen(serve, **quiet)
    try:
        wait_for(folder / ".s.PGSQL.5432", process)
        yield folder
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(socket: Path, process: subprocess.Popen) -> None:
    import psycopg

    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            psycopg.connect(f"host={socket.parent} user=nexova dbname=postgres").close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    pytest.fail("the private PostgreSQL server did not start")


@pytest.fixture
def url(server, request):
    """A fresh database."""
    import psycopg

    name = f"t{abs(hash(request.node.nodeid))}"
    with psycopg.connect(f"host={server} user=nexova dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql://nexova@/{name}?host={server}"


def test_the_story_on_postgres(url):
    store, now_ms, allowed = make_world(url), START_MS, 0
    for hours, name, action, machine, subject, revision, comment in STORY:
        now_ms += hours * HOUR_MS
        allowed += check_attempt(store, name, Attempt(action, machine, subject, revision, comment), now_ms)
    report = verify_store(store)
    assert allowed == 15 and not report.findings and report.covered is None and report.n_entries == len(log_of(store))
    store.engine.dispose()


def test_processes_at_once_on_postgres(url, tmp_path):
    store = make_world(url)
    check_processes_at_once(store, url)
    anchored = store._replace(anchor=tmp_path / "anchor")
    with reading(store) as connection:
        save_anchor(anchored, anchor_row(connection))
    assert verify_store(anchored).covered == len(log_of(store))
    store.engine.dispose()


@pytest.mark.parametrize("death", ["apply", "record", "before anchor"])
def test_a_killed_process_on_postgres(url, death):
    store = make_world(url)
    check_killed(store, url, death)
    store.engine.dispose()
