"""Measurements behind the group ``approvals`` of ``nexova bench``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from nexova_sim.approve.check import verify_store
from nexova_sim.approve.members import NewMachine, NewUser, add_machine, first_user
from nexova_sim.approve.people import Identity
from nexova_sim.approve.registry import act
from nexova_sim.approve.store import Store, open_store
from nexova_sim.approve.workflow import Attempt
from nexova_sim.config.approval import load_approval
from nexova_sim.config.roles import load_roles
from nexova_sim.run.approvals_replay import replay_approvals
from nexova_sim.run.benchmark import Benchmark

_START_MS = 1_767_571_200_000
_STEP_MS = 240_000
_REPEATS = 3


def _cpu_s(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def write_script(path: Path, n_requests: int, n_machines: int = 500) -> None:
    """A CSV script: registrations of ``n_machines`` machines, then requests for maintenance in turn."""
    from datetime import UTC, datetime

    lines = ["at,machine_id,action,by,role,is_agent,subject"]
    for k in range(n_machines + n_requests):
        moment = datetime.fromtimestamp((_START_MS + k * _STEP_MS) / 1000, UTC).isoformat()
        subject = "" if k < n_machines else "MAINTENANCE"
        lines.append(f"{moment},machine-{k % n_machines},submit,agent@plant.example,OPERATOR,true,{subject}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def replay_rate(n_requests: int = 20_000) -> float:
    """Attempts per CPU-second of a whole replay: reading the CSV, judging, tables, hash-chained log, figures."""
    part = load_approval()
    with tempfile.TemporaryDirectory() as place:
        script = Path(place) / "script.csv"
        write_script(script, n_requests)
        rates = []
        for k in range(2):
            start = time.process_time()
            done = replay_approvals(script, part, Path(place) / f"out{k}")
            rates.append(float(done.summary["attempts"]) / (time.process_time() - start))
        return max(rates)


def _filled(place: str, n_attempts: int) -> tuple[Store, float]:
    store = open_store(str(Path(place) / "registry.db"), create=True)
    first_user(store, NewUser("ada@plant.example", "ADMIN"), load_roles(), _START_MS)
    ada = Identity(email="ada@plant.example")
    add_machine(store, ada, NewMachine("m1", "m1", "PUMP", "plant"), _START_MS)

    def attempts() -> None:
        for k in range(n_attempts):
            act(store, ada, Attempt("submit" if k % 2 == 0 else "withdraw", "m1"), _START_MS + k)

    return store, _cpu_s(attempts)


def registry_rate(n_attempts: int = 300) -> float:
    """Attempts per CPU-second on a registry in SQLite: judged, written, chained, anchored outside, durable."""
    with tempfile.TemporaryDirectory() as place:
        store, spent = _filled(place, n_attempts)
        store.engine.dispose()
        return n_attempts / spent


def verify_rate(n_attempts: int = 300) -> float:
    """Audit entries per CPU-second of ``audit verify``: chain, anchors, log against tables."""
    with tempfile.TemporaryDirectory() as place:
        store, _ = _filled(place, n_attempts)
        spent = min(_cpu_s(lambda: verify_store(store)) for _ in range(_REPEATS))
        n_entries = verify_store(store).n_entries
        store.engine.dispose()
        return n_entries / spent


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "approvals_replay": Benchmark("approvals", "attempts/CPU-s", 10_000.0, "min",
            "20 500 requests on 500 machines from CSV: workflow, reviewers, tables, audit log", replay_rate),
        "approvals_registry": Benchmark("approvals", "attempts/CPU-s", 100.0, "min",
            "300 attempts one by one on SQLite, each in a durable transaction with its audit entry", registry_rate),
        "audit_verify": Benchmark("approvals", "entries/CPU-s", 25_000.0, "min",
            "chain, anchors and state of a registry with 302 audit entries", verify_rate),
    }
)  # fmt: skip
