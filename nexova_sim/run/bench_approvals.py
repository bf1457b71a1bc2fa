"""Measurements behind the group ``approvals`` of ``nexova bench``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from nexova_sim.config.approval import load_approval
from nexova_sim.run.approvals_replay import replay_approvals
from nexova_sim.run.benchmark import Benchmark

_START_MS = 1_767_571_200_000
_STEP_MS = 240_000


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


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "approvals_replay": Benchmark("approvals", "attempts/CPU-s", 1000.0, "min",
            "20 500 requests on 500 machines from CSV: workflow, reviewers, tables, audit log", replay_rate),
    }
)  # fmt: skip
