"""The kernels of the twin as plain Python: filter, branches and smoother give the bits that compiled code gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, {tests!r})
sys.path.insert(0, {tests!r} + "/kernels")
import numpy as np
import test_branches, test_filter
from nexova_sim.kernels.plain import N_PLAIN, advance_plain
from nexova_sim.kernels.smooth import find_jumps, smooth_level
def digest(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:16]
rng = np.random.default_rng(1)
given = np.array([test_filter.hour(vib=2.0 + 0.1 * rng.normal(), vib_var=0.01, temp=48.0 + (30.0 if n > 20 else 0.0),
                                   temp_var=0.5, load=0.6 + 0.01 * rng.normal()) for n in range(30)])
rows, cloud = test_filter.follow(given, test_filter.chosen(trial_h=10), n=60, n_kept=30)
out = {{"rows": digest(rows), "cloud": digest(cloud)}}
out["branches"] = digest(test_branches.run(test_branches.cases(variation=0.05, fault_end=0.01),
                                           test_branches.present(wear=0.5, extra=0.005, cooling=0.7), n=3, n_hours=60))
x = 0.7 + 0.07 * rng.normal(size=200)
on, jump, level = np.ones(200, np.bool_), np.zeros(200, np.bool_), np.zeros(200)
find_jumps(x, on, 0.1, 4, 3.0, jump)
smooth_level(x, np.full(200, 0.005), 1e-4, jump, level)
out |= {{"jump": digest(jump), "level": digest(level)}}
state = np.zeros((N_PLAIN, 16))
params = np.repeat(test_filter.PARAMS[:, None], 16, axis=1)
advance_plain(params, np.full((2, 16), 0.9), np.full(16, 25.0), 0.5, 5, state)
out["plain"] = digest(state)
json.dump(out, sys.stdout)
"""


def found(jit: bool) -> dict[str, str]:
    # Plain Python meets the wrap-around of 32-bit integers as warnings; compiled code wraps silently.
    env = os.environ | {"NUMBA_DISABLE_JIT": "0" if jit else "1", "PYTHONWARNINGS": "ignore::RuntimeWarning"}
    command = [sys.executable, "-c", SCRIPT.format(tests=str(HERE))]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_plain_python_gives_the_same_bits():
    compiled, plain = found(True), found(False)
    assert compiled == plain
    assert len(set(compiled.values())) == len(compiled)
