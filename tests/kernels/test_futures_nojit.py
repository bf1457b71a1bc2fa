"""The kernel of futures as plain Python: the same futures without compilation give the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SCRIPT = """
import hashlib, json, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {kernels!r}]
import numpy as np
import test_futures as t
from nexova_sim.config.load import load_kind
pump = load_kind("pump", Path({tests!r}).parent / "configs/kind")
t.H = 30
found = []
for change in ({{}}, {{"bearing_exponent": 3.0, "montsinger_per_h": 0.01, "montsinger_ref_c": 60.0}}):
    given = t.situations(pump, 2, **change)
    for is_plain in (False, True):
        out = t.run(given, 16, is_plain)
        found.append(hashlib.sha256(np.ascontiguousarray(out).tobytes()).hexdigest()[:16])
json.dump(found, sys.stdout)
"""


def digests(jit: bool) -> list[str]:
    """What a process found, compiled or not."""
    env = os.environ | {"NUMBA_DISABLE_JIT": "0" if jit else "1", "PYTHONWARNINGS": "ignore::RuntimeWarning"}
    command = [sys.executable, "-c", SCRIPT.format(tests=str(HERE.parent), kernels=str(HERE))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_plain_python_gives_the_same_bits():
    assert digests(True) == digests(False)
