"""A slow, obvious Python/NumPy twin of every kernel, from the model's equations: the oracle of the kernel tests.

``naive_readings`` is the whole fleet model in vectorised NumPy over machines: oracle of the fleet kernel and reference
of its speed benchmark. ``python tests/naive.py`` prints its speed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.special import ndtri

M32 = 0xFFFFFFFF
M64 = 0xFFFFFFFFFFFFFFFF
HOURS_PER_YEAR = 8765.8128

# --- random numbers: plain integers -----------------------------------------------------------------------------------


def mix64(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


def stream_key(seed: int, machine_key: int, stream: int) -> int:
    a = mix64((seed + 0x9E3779B97F4A7C15) & M64)
    b = mix64(((a ^ machine_key) + 0xD1B54A32D192ED03) & M64)
    return mix64((b + (stream + 1) * 0x8CB92BA72F3D8DD7) & M64)


def random_bits(key: int, counter: int) -> int:
    x = (counter * 0x9E3779B9 + (key & M32)) & M32
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & M32
    x = ((x ^ (x >> 15)) + (key >> 32)) & M32
    x = ((x ^ (x >> 16)) * 0x846CA68B) & M32
    x = ((x ^ (x >> 15)) * 0x9E485565) & M32
    return x ^ (x >> 16)


def uniform(key: int, counter: int) -> float:
    return (random_bits(key, counter) + 0.5) / 2**32


def normal(key: int, counter: int) -> float:
    return float(ndtri(((random_bits(key, counter) >> 8) + 0.5) / 2**24))


# --- random numbers: arrays -------------------------------------------------------------------------------------------


def bits_array(keys: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """Random bits for uint64 ``keys`` and uint32 ``counters`` that broadcast against each other."""
    low = (keys & np.uint64(M32)).astype(np.uint32)
    high = (keys >> np.uint64(32)).astype(np.uint32)
    x = counters * np.uint32(0x9E3779B9) + low
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x += high
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x9E485565)
    x ^= x >> np.uint32(16)
    return x


def uniform_array(keys: np.ndarray, counters: np.ndarray) -> np.ndarray:
    return (bits_array(keys, counters) + 0.5) / 2.0**32


def normal_array(keys: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """Exact normals (float64) by the inverse CDF of SciPy."""
    return ndtri(((bits_array(keys, counters) >> np.uint32(8)) + 0.5) / 2.0**24)


# Central and tail polynomials in w = -log(1 - x^2).
_CENTRE = np.array(
    [2.1233136654, 0.3488026559, -0.0059081712, -0.0017730101, 0.00030915020, -6.217992904566927e-06,
     -4.990565230400534e-06, 4.861039428760705e-07, 4.0354635189032706e-08], np.float32)  # fmt: skip
_TAIL = np.array(
    [4.006434917, 1.416588068, 0.013322490267455578, -0.01087426207959652, 0.008276563137769699,
     -0.004891912918537855, 0.0015478403074666858, -0.00013086048420518637], np.float32)  # fmt: skip


def _horner(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    value = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value *= x
        value += c
    return value


def fast_normal_array(keys: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """The same normals in single precision by polynomials, to 1e-6: what a NumPy program in a hurry would do."""
    x = (bits_array(keys, counters) >> np.uint32(8)).astype(np.float32)
    x *= np.float32(2.0**-23)
    x -= np.float32(1.0 - 2.0**-24)
    w = -np.log((np.float32(1.0) - x) * (np.float32(1.0) + x))
    value = _horner(w - np.float32(2.5), _CENTRE)
    far = w >= np.float32(5.0)  # 0.7 % of all draws
    value[far] = _horner(np.sqrt(w[far]) - np.float32(3.0), _TAIL)
    value *= x
    return value


# --- physics ----------------------------------------------------------------------------------------------------------


def temperature_c(t_h: np.ndarray, temp_c: float, limit_c: float, tau_h: float) -> np.ndarray:
    """Solution of dT/dt = (limit - T)/tau from ``temp_c`` at the times ``t_h``."""
    return limit_c + (temp_c - limit_c) * np.exp(-np.asarray(t_h) / tau_h)


def mean_above_k(temp_c: float, limit_c: float, tau_h: float, dt_h: float, knee_c: float, n: int = 200_001) -> float:
    """Mean of max(0, T - knee) over a step, by the trapezoidal rule on ``n`` points."""
    above = np.maximum(0.0, temperature_c(np.linspace(0.0, dt_h, n), temp_c, limit_c, tau_h) - knee_c)
    return float((above[1:] + above[:-1]).sum() / 2.0 / (n - 1))


def wear_after(wear: float, drive_mm_s: float, rate: float, gain: float, dt_h: float) -> float:
    """d(wear)/dt = rate (drive + gain wear), by a Runge-Kutta solver."""
    solution = solve_ivp(lambda _, w: rate * (drive_mm_s + gain * w), (0.0, dt_h), [wear], rtol=1e-11, atol=1e-14)
    return float(solution.y[0, -1])


def weibull_age_h(age_h: float, shape: float, scale_h: float, u: float) -> float:
    """Age at which survival, given survival to ``age_h``, has fallen to ``u``."""
    if scale_h >= 1e15:
        return 1e15
    return scale_h * ((age_h / scale_h) ** shape - math.log(u)) ** (1.0 / shape)


def health_percent(fatigue: float, wear: float, electrical: float, runtime_h: float, life_h: float) -> float:
    def left(x: float) -> float:
        return 1.0 - min(1.0, x)

    return 100.0 * (0.4 * left(fatigue) + 0.3 * left(wear) + 0.2 * left(electrical) + 0.1 * left(runtime_h / life_h))


# --- inputs -----------------------------------------------------------------------------------------------------------


def wave(start_h: float, slot_h: float, shape: tuple[float, ...], n: int) -> np.ndarray:
    mean, annual, annual_peak_h, daily, daily_peak_h = shape
    h = start_h + (np.arange(n) + 0.5) * slot_h
    yearly = annual * np.cos(2 * np.pi * (h - annual_peak_h) / HOURS_PER_YEAR)
    return mean + yearly + daily * np.cos(2 * np.pi * (h - daily_peak_h) / 24.0)


def ar1(key: int, first_slot: int, memory: float, deviation: float, start: float, n: int) -> np.ndarray:
    values = []
    for s in range(first_slot, first_slot + n):
        start = memory * start + deviation * math.sqrt(1.0 - memory**2) * normal(key, s % 2**32)
        values.append(start)
    return np.array(values)


def cycle_share(slot: int, cycle_slots: float, phase: float, duty: float, n: int = 100_000) -> float:
    """Share of a slot that a square wave is on, by counting."""
    u = (slot + (np.arange(n) + 0.5) / n) / cycle_slots + phase
    return float(np.mean(u % 1.0 < duty))


# --- sensors ----------------------------------------------------------------------------------------------------------


def quantise(value: np.ndarray, per_unit: float) -> np.ndarray:
    """Nearest multiple of 1/per_unit, never negative, as float32."""
    return (np.rint(np.maximum(value, 0.0) * per_unit) / per_unit).astype(np.float32)


def read_channel(true: np.ndarray, key: int, first_step: int, noise: tuple[float, float, float]) -> np.ndarray:
    absolute, relative, per_unit = noise
    z = np.array([normal(key, (first_step + k) % 2**32) for k in range(len(true))])
    value = true.astype(float)
    return quantise(value + (absolute + relative * value) * z, per_unit)


# --- remaining life ---------------------------------------------------------------------------------------------------


def run_to_failure(p: dict[str, float], state: dict[str, float], effect: dict[str, float], load: np.ndarray,
                   ambient_c: np.ndarray, max_hours: int) -> tuple[float, float, int]:  # fmt: skip
    """Hours to failure, running hours and event of one machine, hour by hour; ``load``, ``ambient_c`` by hour, cyclic.

    ``p`` holds the fields of MachineParams; ``state``: temp, wear, fatigue, electrical, runtime, age, limit;
    ``effect``: wear_per_h, fatigue_per_h, cooling, load, spike, vibration.
    """
    s = dict(state)
    cooling = effect["cooling"]
    tau = p["tau_h"] / cooling
    ran = 0.0
    for h in range(max_hours):
        x = load[h % len(load)] * effect["load"] * (1.0 + 0.15 * effect["spike"])
        heat = p["heat_fixed"] + p["heat_linear"] * x + p["heat_square"] * x * x if x > 0 else 0.0
        limit = ambient_c[h % len(ambient_c)] + p["rise_k"] * heat / cooling
        after = float(temperature_c(np.array(1.0), s["temp"], limit, tau))
        if x > 0:
            rate = p["wear_per_mm_s_h"] * (x / p["bearing_ref_frac"]) ** (p["bearing_exponent"] - 1.0)
            above = mean_above_k(s["temp"], limit, tau, 1.0, p["vib_knee_c"], 2001)
            drive = p["vib_rated_mm_s"] * x + effect["vibration"] + p["vib_heat_gain"] * above
            drive += effect["wear_per_h"] / rate
            gain = p["vib_wear_gain"]
            fatigue = p["fatigue_per_k_h"] * mean_above_k(s["temp"], limit, tau, 1.0, p["fatigue_knee_c"], 2001)
            fatigue += effect["fatigue_per_h"]
            path = temperature_c(np.linspace(0.0, 1.0, 2001), s["temp"], limit, tau)
            doubling = np.exp2((path - p["montsinger_ref_c"]) / p["montsinger_halving_k"])
            fatigue += p["montsinger_per_h"] * float(np.trapezoid(doubling, dx=1.0 / 2000))
            new = {
                "wear": s["wear"] * math.exp(rate * gain) + drive * math.expm1(rate * gain) / gain,
                "fatigue": s["fatigue"] + fatigue,
                "electrical": s["electrical"] + p["electrical_per_h"] * x * x,
                "runtime": s["runtime"] + 1.0,
                "age": s["age"] + 1.0,
            }
            levels = [
                ("wear", 1.0),
                ("fatigue", 1.0),
                ("electrical", 1.0),
                ("runtime", p["life_h"]),
                ("age", s["limit"]),
            ]
            share = [(level - s[k]) / (new[k] - s[k]) if new[k] >= level else 2.0 for k, level in levels]
            if min(share) <= 1.0:
                return h + min(share), ran + min(share), int(np.argmin(share))
            s.update(new)
            ran += 1.0
        s["temp"] = after
    return float(max_hours), 0.0, -1


# --- the fleet --------------------------------------------------------------------------------------------------------


def naive_readings(plan, periods) -> dict[str, np.ndarray]:
    """Readings of a whole fleet over consecutive periods from the first on, by NumPy vectorised over machines.

    ``plan`` is a FleetPlan. Returns power_kw, temperature_c, vibration_mm_s, runtime_h (float32), status (int8) and
    keep (bool, rows that arrive), each (n_machines, n_rows).
    """
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:  # this file may be imported by its path alone
        sys.path.append(folder)
    from naive_fleet import naive_fleet

    return naive_fleet(plan, periods).readings


def machine_steps_per_cpu_s(root: Path, days: float = 1.0) -> float:
    """Speed of ``naive_readings`` on the plant configuration, at its 60 s, planning excluded; best of three."""
    import time

    from nexova_sim.config.load import load_fleet
    from nexova_sim.simulate.plan import plan_fleet

    resolved = load_fleet(root / "configs/fleet/plant.yaml")
    fleet = resolved.fleet.model_copy(update={"days": days})
    plan = plan_fleet(resolved.model_copy(update={"fleet": fleet}))
    best = math.inf
    for _ in range(3):
        begin = time.process_time()
        rows = naive_readings(plan, plan.periods)["power_kw"].size
        best = min(best, time.process_time() - begin)
    return rows / best


if __name__ == "__main__":
    speed = machine_steps_per_cpu_s(Path(__file__).resolve().parent.parent)
    print(f"{speed / 1e6:.2f} M machine-steps per CPU-second (200 machines, 1 day at 60 s)")
