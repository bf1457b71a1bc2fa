"""The kernels as plain Python: the same fleet without compilation gives the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, {tests!r})
from small_fleets import run, small_fleet
import numpy as np
edits = {{
    "machines": {{"pump": 1, "compressor": 1, "conveyor": 1}}, "days": 0.0834, "truth_interval_s": 300,
    "start": "2026-01-05T06:00:00Z", "faults": {{"scheduled": [
        {{"machine": "f-pump-001", "fault": f, "onset_h": 0.2, "hours": 1.0, "severity": 0.7}} for f in
        ("bearing_wear", "cooling_loss", "overload", "power_spike", "imbalance", "sensor_stuck", "sensor_drift",
         "sensor_dropout", "sensor_spike", "rows_missing")]}},
    "maintenance": {{"interventions": [
        {{"machine": "f-compressor-001", "action": "MAINTENANCE", "at_h": 0.5, "hours": 0.5,
          "restores": ["bearing", "random"]}}]}},
}}
kinds = {{
    "compressor": {{"damage": {{"wear_noise_per_sqrt_h": 1e-4, "bearing_exponent": 3.0}}}},
    "conveyor": {{
        "hazard": {{"weibull_scale_h": 1.0}}, "thermal": {{"heating": "loss"}}, "service": {{"response_h": 0.1}},
        "costs": {{"failure_h": 0.3}}, "damage": {{"montsinger_life_h": 2000.0}}}},
}}
ran = run(small_fleet(edits, kinds))
def digest(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:16]
out = {{c: digest(ran.readings(c)) for c in ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h", "status")}}
out |= {{c: digest(getattr(ran, c)) for c in ("truth", "event_code", "event_value", "branch", "cleared")}}
out["keep"] = digest(ran.chunks[0].keep)
out |= {{"failures": int((ran.event_code[:, 1] == 1).sum()), "rows": ran.readings("status").size}}
json.dump(out, sys.stdout)
"""


def fleet(jit: bool) -> dict[str, object]:
    """What a process found, compiled or not."""
    # Plain Python meets the wrap-around of 32-bit integers as warnings; compiled code wraps silently.
    env = os.environ | {"NUMBA_DISABLE_JIT": "0" if jit else "1", "PYTHONWARNINGS": "ignore::RuntimeWarning"}
    command = [sys.executable, "-c", SCRIPT.format(tests=str(HERE))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, object], dict[str, object]]:
    return fleet(True), fleet(False)


def test_the_fleet_is_no_trivial_one(both):
    assert both[0]["failures"] >= 1
    assert both[0]["rows"] == 3 * 120


READINGS = ["power_kw", "temperature_c", "vibration_mm_s", "runtime_h", "status", "keep"]


@pytest.mark.parametrize("name", [*READINGS, "truth", "event_code", "event_value", "branch", "cleared"])
def test_plain_python_gives_the_same_bits(both, name):
    compiled, plain = both
    assert compiled[name] == plain[name]
