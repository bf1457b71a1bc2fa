"""The peer of the group ``twin``: progpy, run by the interpreter of its own environment, never a dependency.

Name that interpreter in NEXOVA_PROGPY_PYTHON; without it the peer is "not measured".
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache

from nexova_sim.base.errors import ConfigError

VARIABLE = "NEXOVA_PROGPY_PYTHON"
_TIMEOUT_S = 600

# The seed's twin as a model of progpy: same equations, hourly damage, exact exponential for the temperature.
SCRIPT = """
import json, time, warnings
warnings.filterwarnings("ignore")
import numpy as np
from progpy import PrognosticsModel
from progpy.predictors import MonteCarlo
from progpy.state_estimators import ParticleFilter
from progpy.uncertain_data import MultivariateNormalDist

class Twin(PrognosticsModel):
    inputs = ["power"]
    states = ["temp", "wear", "fatigue", "electrical", "runtime"]
    outputs = ["temp", "vib"]
    events = ["worn"]
    is_vectorized = True
    default_parameters = {"rated": 15.0, "rise": 37.5, "tau": 50.0, "ambient": 25.0, "rate": 1e-4, "gain": 2.0,
                          "x0": {"temp": 25.0, "wear": 0.0, "fatigue": 0.0, "electrical": 0.0, "runtime": 0.0},
                          "process_noise": 0.0, "measurement_noise": {"temp": 0.7, "vib": 0.04}}
    def next_state(self, x, u, dt):
        p = self.parameters
        load = u["power"] / p["rated"]
        limit = p["ambient"] + p["rise"] * load
        temp = limit + (x["temp"] - limit) * np.exp(-dt / p["tau"])
        vib = 1.5 * load + 0.05 * np.maximum(0.0, temp - 70.0)
        hours = dt / 3600.0
        growth = np.exp(p["rate"] * p["gain"] * hours)
        wear = x["wear"] * growth + vib * (growth - 1.0) / p["gain"]
        fatigue = x["fatigue"] + 1e-4 * np.maximum(0.0, temp - 75.0) * hours
        return self.StateContainer({"temp": temp, "wear": wear, "fatigue": fatigue,
            "electrical": x["electrical"] + 1e-5 * load * load * hours, "runtime": x["runtime"] + hours})
    def output(self, x):
        return self.OutputContainer({"temp": x["temp"], "vib": 1.35 + 2.0 * x["wear"]})
    def event_state(self, x):
        return {"worn": 1.0 - x["wear"]}
    def threshold_met(self, x):
        return {"worn": np.asarray(x["wear"]) >= 1.0}

def cpu(action):
    start = time.process_time()
    action()
    return time.process_time() - start

out = {}
n, steps = 10_000, 2_000
model = Twin()
zeros = np.zeros(n)
first = model.StateContainer({"temp": zeros + 25.0, "wear": zeros, "fatigue": zeros, "electrical": zeros,
                              "runtime": zeros})
u = model.InputContainer({"power": 13.5})
def fleet():
    x = first
    for _ in range(steps):
        x = model.next_state(x, u, 1.0)
out["fleet"] = n * steps / min(cpu(fleet) for _ in range(3)) / 1e6

noisy = Twin(process_noise={"temp": 0.2, "wear": 2e-7, "fatigue": 0.0, "electrical": 0.0, "runtime": 0.0})
pf = ParticleFilter(noisy, noisy.initialize(), num_particles=10_000)
def updates():
    for k in range(50):
        updates.t += 3600.0
        pf.estimate(updates.t, u, noisy.OutputContainer({"temp": 62.0, "vib": 1.4}))
updates.t = 0.0
out["particles"] = 10_000 * 50 / cpu(updates) / 1e6

lives = Twin(rate=2.65e-4, process_noise={"temp": 0.0, "wear": 8e-7, "fatigue": 0.0, "electrical": 0.0,
                                          "runtime": 0.0})
state = MultivariateNormalDist(["temp", "wear", "fatigue", "electrical", "runtime"],
                               [58.0, 0.0, 0.0, 0.0, 0.0], np.diag([1e-6, 1e-12, 1e-12, 1e-12, 1e-12]))
mc = MonteCarlo(lives)
samples = 20
spent = cpu(lambda: mc.predict(state, lambda t, x=None: u, n_samples=samples, dt=3600.0, horizon=4e7, save_freq=1e9))
out["lives"] = samples / spent / 1e6
print(json.dumps(out))
"""


@cache
def progpy_rates() -> Mapping[str, float]:
    """Rates of progpy: millions of machine-steps, particle updates and samples of remaining life per CPU-second.

    Empty when no interpreter is named; ConfigError when the one that is named cannot run the measurement.
    """
    python = os.environ.get(VARIABLE)
    if not python:
        return {}
    try:
        done = subprocess.run([python, "-c", SCRIPT], capture_output=True, text=True, timeout=_TIMEOUT_S, check=True)
        found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:] or ["no message"]
        raise ConfigError(f"{VARIABLE}={python}: progpy cannot be measured there: {last[0]}") from error
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise ConfigError(f"{VARIABLE}={python}: progpy cannot be measured there: {error}") from error
    return found
