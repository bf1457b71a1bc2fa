"""Runs of the command line that die or meet a broken disk at a chosen moment. Started once, forked per run: cheap.

``Forge`` is what tests use. The file is also the program the tests start: it imports and compiles everything once, then
forks a child for each request line and reports how it ended.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parent
# What changes the disk: a run is cut or refused at the n-th of these calls.
STEPS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "ftruncate", "pwrite")

FLEET = """
name: forged
seed: 3
start: 2026-03-01T00:00:00Z
days: 3
dt_s: 300
truth_interval_s: 3600
start_age_frac: [0.95, 1.0]
faults: {rate_factor: 20.0}
maintenance: {planned_interval_days: 4}
output: {partition: day}
factories:
  - id: lyon
    latitude_deg: 45.76
    longitude_deg: 4.84
    timezone: Europe/Paris
    calendar: {shifts: [{name: early, days: [mon, tue, wed, thu, fri, sat, sun], start: "06:00", end: "14:00"},
                        {name: late, days: [mon, tue, wed, thu, fri], start: "14:00", end: "22:00"}]}
    machines: {pump: 20, motor: 12, compressor: 4, conveyor: 4}
"""


# Fewer files, for tests that cut a run at every one of its steps.
SMALL_FLEET = FLEET.replace("days: 3", "days: 2").replace("pump: 20, motor: 12", "pump: 5, motor: 8")


class Ended(NamedTuple):
    """How a run ended: exit code (negative: killed by that signal), what it printed, how many steps it took."""

    code: int
    stdout: str
    stderr: str
    n_steps: int


def contents(folder: Path) -> dict[str, str]:
    """Path -> sha256 of every file below a folder; folders without files are listed too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
    return found


class Forge:
    """A process that forks runs of the command line on request."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        command = [sys.executable, str(Path(__file__).resolve())]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=TESTS.parent
        )

    def start(self, arguments: Sequence[object], at: int | None = None, error: int | None = None, user: int = 0) -> int:
        """Start a run (as ``user`` when given); its pid.

        It is killed at step ``at``, or every step from there on fails with errno ``error``.
        """
        assert self.process.stdin is not None
        request = {"arguments": [str(a) for a in arguments], "at": at, "error": error, "user": user}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return int(self._answer()["pid"])

    def end(self) -> Ended:
        """Wait for the run that was started."""
        return Ended(**self._answer())

    def run(self, arguments: Sequence[object], at: int | None = None, error: int | None = None, user: int = 0) -> Ended:
        self.start(arguments, at, error, user)
        return self.end()

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the forge died"
        answer: dict[str, Any] = json.loads(line)
        return answer


def _arm(at: int | None, error: int | None, counter: list[int]) -> None:
    """Count every step; from step ``at`` on, die or fail. A file that dies before its fsync is torn in half."""

    def hook(name: str) -> None:
        real = getattr(os, name)

        def step(*args: Any, **kwargs: Any) -> Any:
            counter[0] += 1
            if at is not None and counter[0] >= at:
                if error is not None:
                    raise OSError(error, os.strerror(error))
                if name == "fsync" and stat.S_ISREG(os.fstat(args[0]).st_mode):
                    truncate(args[0], os.fstat(args[0]).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, name, step)

    truncate = os.ftruncate
    for name in STEPS:
        hook(name)


def _child(request: dict[str, Any], folder: str, run: Callable[[Sequence[str]], int]) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    counter = [0]
    report = os.open(f"{folder}/steps", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    write = os.write
    if request["user"]:
        os.setgroups([])
        os.setresuid(request["user"], request["user"], request["user"])
    _arm(request["at"], request["error"], counter)
    code = run(request["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    write(report, str(counter[0]).encode())
    os._exit(code)


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace") if Path(path).exists() else ""


def serve() -> None:
    from nexova_sim.cli.app import run
    from nexova_sim.config.load import load_fleet
    from nexova_sim.run.simulate import simulate

    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "warm.yaml"
        config.write_text(FLEET.replace("days: 3", "days: 0.1"), encoding="utf-8")
        simulate(load_fleet(config), Path(folder) / "warm", jobs=1)
        for line in sys.stdin:
            request = json.loads(line)
            (Path(folder) / "steps").unlink(missing_ok=True)
            pid = os.fork()
            if pid == 0:
                try:
                    _child(request, folder, run)
                finally:
                    os._exit(99)
            answers.write(json.dumps({"pid": pid}) + "\n")
            answers.flush()
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            ended = Ended(code, _read(f"{folder}/out"), _read(f"{folder}/err"), int(_read(f"{folder}/steps") or -1))
            answers.write(json.dumps(ended._asdict()) + "\n")
            answers.flush()


if __name__ == "__main__":
    serve()
