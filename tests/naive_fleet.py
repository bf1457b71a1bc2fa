"""The fleet model in NumPy, vectorised over all machines of the fleet: a time loop over slots, arrays over the rest.

Inputs are constant within a slot, so the steps of a slot are one array expression (steps, machines); load, noise and
rounding are array expressions over a whole period. Faults, services and failures are plain Python: they are rare.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from naive import fast_normal_array, normal_array, uniform, uniform_array, weibull_age_h
from naive_sensors import falsify, sense

from nexova_sim.kernels import random as streams
from nexova_sim.kernels import rows as r
from nexova_sim.kernels.load import IDLE_HOLD_H, MAX_LOAD_FRAC
from nexova_sim.simulate.plan import ambient_of, plan_block, profile_of

SPIKE_SHARE = 0.15


class Machines(NamedTuple):
    """Everything constant about the machines of a fleet; arrays (n_machines,) or (something, n_machines)."""

    p: dict[str, np.ndarray]
    duty: dict[str, np.ndarray]
    keys: np.ndarray
    pairs: list[tuple[int, str]]
    profile: np.ndarray
    factory: np.ndarray
    fault: dict[str, np.ndarray]
    failure_restore: np.ndarray
    noise: dict[str, np.ndarray]
    sensor_faults: list


class Result(NamedTuple):
    """Readings (n_machines, n_rows), truth (n_machines, n_samples, N_TRUTH), events (machine, code, a, b, h, value)."""

    readings: dict[str, np.ndarray]
    truth: np.ndarray
    events: list[tuple]
    cleared: np.ndarray


def gather(plan) -> Machines:
    """One array per parameter over all machines, from the plan's blocks."""
    blocks = [plan_block(plan, n) for n in range(len(plan.blocks))]
    sizes = [size for _, size in plan.blocks]

    def join(arrays):
        return np.concatenate([np.asarray(a)[..., :n] for a, n in zip(arrays, sizes, strict=True)], axis=-1)

    pairs = list(dict.fromkeys(pair for b in blocks for pair in b.profiles))
    kinds = [plan.resolved.kinds[m.kind] for m in plan.machines]
    channels = ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h")
    return Machines(
        dict(zip(r.MachineParams._fields, join([b.block.params for b in blocks]), strict=True)),
        {f: join([getattr(b.duty, f) for b in blocks]) for f in blocks[0].duty._fields},
        join([b.block.keys for b in blocks]),
        pairs,
        np.array([pairs.index((m.factory, m.kind)) for m in plan.machines]),
        np.array([m.factory for m in plan.machines]),
        {
            f: np.concatenate(
                [
                    np.asarray(getattr(b.block.faults, f)) + (plan.blocks[b.number][0] if f == "lane" else 0)
                    for b in blocks
                ]
            )
            for f in r.FaultPlan._fields
        },
        join([b.block.failure_restore for b in blocks]),
        {c: np.array([_noise(getattr(k.sensors, c)) for k in kinds], np.float32).T for c in channels},
        [f for b in blocks for f in b.sensor_faults],
    )


def _noise(sensor) -> tuple[float, float, float]:
    return sensor.noise, sensor.noise_frac, round(1.0 / sensor.resolution)


class Fleet:
    """The mutable state of the naive model."""

    def __init__(self, plan, m: Machines, exact: bool) -> None:
        n = len(plan.machines)
        self.plan, self.m, self.exact = plan, m, exact
        self.normals = normal_array if exact else fast_normal_array
        first = {int(f): ambient_of(plan, int(f), plan.periods[0])[0] for f in np.unique(m.factory)}
        self.temp = np.array([first[int(f)] for f in m.factory])
        self.wear = np.array([x.build["wear_start_frac"] for x in plan.machines])
        self.fatigue = np.array([x.build["fatigue_start_frac"] for x in plan.machines])
        self.electrical = np.array([x.build["electrical_start_frac"] for x in plan.machines])
        self.runtime = np.array([x.runtime_start_h for x in plan.machines])
        self.age = self.runtime.copy()
        self.limit = np.array([self._life(j, self.age[j], 0) for j in range(n)])
        self.variation = m.duty["variation"] * self.normals(
            m.keys[streams.LOAD_VARIATION], np.full(n, 2**32 - 1, np.uint32)
        )
        self.energy, self.planned = np.zeros(n), np.zeros(n)
        self.mode, self.status = np.full(n, r.AVAILABLE), np.full(n, r.STATUS_UNKNOWN)
        self.until = np.full(n, r.NEVER)
        self.mask, self.reason, self.done, self.renewals = (np.zeros(n, np.int64) for _ in range(4))
        self.cleared = np.full(len(m.fault["lane"]), -1)
        self.events: list[tuple] = []
        self.truth: list[np.ndarray] = []
        self.change_at = 0
        self.has_exponent = bool((m.p["bearing_exponent"] != 1.0).any())
        self.has_ageing = bool((m.p["montsinger_per_h"] > 0).any())
        self.has_noise = bool((m.p["wear_noise_per_sqrt_h"] > 0).any())

    def _life(self, j: int, age_h: float, renewal: int) -> float:
        u = uniform(int(self.m.keys[streams.LIFE, j]), int(renewal))
        return weibull_age_h(age_h, self.m.p["weibull_shape"][j], self.m.p["weibull_scale_h"][j], u)

    def loads(self, period) -> tuple[np.ndarray, np.ndarray]:
        """Load and planned load of a period, (n_slots, n_machines)."""
        d, keys = self.m.duty, self.m.keys
        slots = np.arange(period.first_slot, period.first_slot + period.n_slots)
        z = self.normals(keys[streams.LOAD_VARIATION], slots[:, None].astype(np.uint32))
        kick = d["variation"] * np.sqrt(1.0 - d["memory"] ** 2) * z
        variation = np.empty(kick.shape)
        for s in range(len(slots)):
            self.variation = d["memory"] * self.variation + kick[s]
            variation[s] = self.variation
        profiles = np.stack([profile_of(self.plan, f, k, period) for f, k in self.m.pairs], axis=1)
        base = profiles[:, self.m.profile] * d["scale"]
        x = base * np.maximum(0.1, 1.0 + variation)
        c = np.flatnonzero(d["cycle_slots"] > 0)
        low, span, phase = d["unloaded_frac"][c], (d["loaded_frac"] - d["unloaded_frac"])[c], d["cycle_phase"][c]
        share = np.clip((x[:, c] - low) / span, 0.0, 1.0)
        u0, u1 = (e[:, None] / d["cycle_slots"][c] + phase for e in (slots, slots + 1.0))
        on = [np.floor(u) * share + np.minimum(u - np.floor(u), share) for u in (u0, u1)]
        x[:, c] = low + span * (on[1] - on[0]) / (u1 - u0)
        i = np.flatnonzero(d["idle_share"] > 0)
        quarter = np.floor(slots * self.plan.clock.slot_h / IDLE_HOLD_H).astype(np.uint32)
        idles = uniform_array(keys[streams.IDLE][i], quarter[:, None]) < d["idle_share"][i]
        x[:, i] = np.where(idles, d["idle_frac"][i], x[:, i])
        load = np.where(base > 0, np.minimum(x, MAX_LOAD_FRAC), 0.0)
        planned = base * (1.0 - d["idle_share"]) + d["idle_frac"] * d["idle_share"]
        return load, np.where(base > 0, planned, 0.0)

    def restore(self, j: int, slot: int, mask: int) -> None:
        """Renew components and end their open faults."""
        for bit, name in (
            (r.C_BEARING, "wear"),
            (r.C_THERMAL, "fatigue"),
            (r.C_ELECTRICAL, "electrical"),
            (r.C_LIFE, "runtime"),
        ):
            if mask & bit:
                getattr(self, name)[j] = 0.0
        if mask & r.C_RANDOM:
            self.renewals[j] += 1
            self.age[j], self.limit[j] = 0.0, self._life(j, 0.0, self.renewals[j])
        f = self.m.fault
        hit = (
            (f["lane"] == j)
            & (self.cleared < 0)
            & (f["onset_slot"] <= slot)
            & (slot < f["end_slot"])
            & ((f["component"] & mask) > 0)
        )
        self.cleared[hit] = slot

    def change(self, slot: int) -> None:
        """End and begin stops, then combine the effects of the faults active from ``slot`` on."""
        slot_h = self.plan.clock.slot_h
        upcoming = [r.NEVER]
        for j, actions in enumerate(self.plan.actions):
            if self.mode[j] != r.AVAILABLE and self.until[j] <= slot:
                self._finish(j, slot)
            if self.mode[j] == r.AVAILABLE and self.done[j] < len(actions):
                at, mode, n_slots, mask, reason = actions[self.done[j]]
                if at <= slot:
                    self.done[j] += 1
                    self.mode[j], self.until[j], self.mask[j], self.reason[j] = mode, slot + n_slots, mask, reason
                    if mode == r.IN_MAINTENANCE:
                        self.events.append((j, r.EV_MAINTENANCE_START, reason, mask, slot * slot_h, n_slots * slot_h))
                else:
                    upcoming.append(at)
            if self.mode[j] != r.AVAILABLE:
                upcoming.append(self.until[j])
        f, p = self.m.fault, self.m.p
        e = np.zeros((r.N_EFFECTS, len(self.plan.machines)))
        e[[r.E_COOLING, r.E_LOAD]] = 1.0
        active = (f["onset_slot"] <= slot) & (slot < f["end_slot"]) & (self.cleared < 0)
        for i in np.flatnonzero(active):
            for k in range(r.N_EFFECTS):
                old, gain = e[k, f["lane"][i]], f["effect"][i, k]
                e[k, f["lane"][i]] = old * gain if k in (r.E_COOLING, r.E_LOAD) else old + gain
        upcoming += [
            f["end_slot"][active].min(initial=r.NEVER),
            f["onset_slot"][f["onset_slot"] > slot].min(initial=r.NEVER),
        ]
        self.change_at = min(upcoming)
        self.effect, self.spiking = e, np.flatnonzero(e[r.E_SPIKE] > 0)
        self.available = self.mode == r.AVAILABLE
        steps = np.arange(self.plan.clock.n_steps + 1)[:, None]
        step_h = slot_h / self.plan.clock.n_steps
        self.tau_steps = p["tau_h"] / (e[r.E_COOLING] * step_h)
        self.decay = np.exp(-steps / self.tau_steps)
        self.growth = p["wear_per_mm_s_h"] * p["vib_wear_gain"] * step_h
        self.grown = np.exp(steps * self.growth)
        self.gained = np.expm1(self.growth) / p["vib_wear_gain"]

    def _finish(self, j: int, slot: int) -> None:
        slot_h = self.plan.clock.slot_h
        if self.mode[j] == r.FAILED:
            hours = self.m.p["repair_h"][j]
            self.mode[j], self.reason[j] = r.IN_MAINTENANCE, r.R_REPAIR
            self.until[j] = slot + max(1, math.ceil(hours / slot_h))
            self.events.append((j, r.EV_MAINTENANCE_START, r.R_REPAIR, self.mask[j], slot * slot_h, hours))
            return
        if self.mode[j] == r.IN_MAINTENANCE:
            self.restore(j, slot, int(self.mask[j]))
            self.events.append((j, r.EV_MAINTENANCE_END, self.reason[j], self.mask[j], slot * slot_h, 0.0))
        self.mode[j], self.until[j] = r.AVAILABLE, r.NEVER

    def fail(self, slot: int, on: np.ndarray, before: list[np.ndarray]) -> None:
        """Record the first threshold every running machine met in ``slot``."""
        slot_h = self.plan.clock.slot_h
        after = [self.wear, self.fatigue, self.electrical, self.runtime, self.age]
        levels = [1.0, 1.0, 1.0, self.m.p["life_h"], self.limit]
        share = np.full((r.N_FAILURES, len(on)), 2.0)
        for row, a, b, level in zip(share, before, after, levels, strict=True):
            met = on & (b >= level)
            row[met] = np.clip((level - a)[met] / (b - a)[met], 0.0, 1.0)
        for x in after[:3]:
            np.minimum(x, 1.0, out=x)
        for j in np.flatnonzero(share.min(axis=0) <= 1.0):
            first = int(share[:, j].argmin())
            self.mode[j], self.reason[j], self.mask[j] = r.FAILED, r.R_FAILURE, self.m.failure_restore[first, j]
            wait = self.m.p["response_h"][j]
            self.until[j] = r.NEVER if wait >= 1e15 else slot + 1 + math.ceil(wait / slot_h)
            run_h = self.runtime[j] - (1.0 - share[first, j]) * slot_h
            self.events.append((j, r.EV_FAILURE, first, self.mask[j], (slot + share[first, j]) * slot_h, run_h))
            self.change_at = slot + 1

    def slot(
        self, slot: int, load: np.ndarray, planned: np.ndarray, ambient: np.ndarray, row: dict[str, np.ndarray]
    ) -> None:
        """Advance all machines by one slot and write its true values into ``row`` (steps, machines)."""
        p, slot_h, n_steps = self.m.p, self.plan.clock.slot_h, self.plan.clock.n_steps
        step_h = slot_h / n_steps
        if slot >= self.change_at:
            self.change(slot)
        e = self.effect
        on = self.available & (load > 0)
        status = np.where(self.mode == r.IN_MAINTENANCE, r.MAINTENANCE, np.where(on, r.ONLINE, r.OFFLINE))
        if (status != self.status).any():
            for j in np.flatnonzero(status != self.status):
                reason = r.R_PLAN if self.available[j] else self.reason[j]
                self.events.append((int(j), r.EV_STATUS, int(status[j]), int(reason), slot * slot_h, 0.0))
            self.status = status
        x = load * e[r.E_LOAD] * on
        if len(self.spiking):
            j = self.spiking
            surge = uniform_array(self.m.keys[streams.POWER_SPIKE, j], np.full(len(j), slot, np.uint32)) < SPIKE_SHARE
            x[j] *= np.where(surge, 1.0 + e[r.E_SPIKE, j], 1.0)
        power = np.where(on, x * p["rated_kw"], np.where(status == r.MAINTENANCE, 0.0, p["standby_kw"]))
        heat = np.where(on, p["heat_fixed"] + x * (p["heat_linear"] + x * p["heat_square"]), 0.0)
        final = ambient + p["rise_k"] * heat / e[r.E_COOLING]
        temps = final + (self.temp - final) * self.decay
        above = {k: self._above(temps, final, p[k]) for k in ("vib_knee_c", "fatigue_knee_c")}
        rate, grown, gained = p["wear_per_mm_s_h"], self.grown, self.gained
        if self.has_exponent:
            rate = rate * np.where(on, x / p["bearing_ref_frac"], 1.0) ** (p["bearing_exponent"] - 1.0)
            growth = rate * p["vib_wear_gain"] * step_h
            grown = np.exp(np.arange(n_steps + 1)[:, None] * growth)
            gained = np.expm1(growth) / p["vib_wear_gain"]
        load_vib = p["vib_rated_mm_s"] * x + e[r.E_VIBRATION] * on
        drive = load_vib + e[r.E_WEAR_PER_H] / rate + p["vib_heat_gain"] * above["vib_knee_c"]
        wears = np.zeros_like(temps)
        np.cumsum(drive * (gained * on) / grown[1:], axis=0, out=wears[1:])
        wears = np.where(on, grown, 1.0) * (self.wear + wears)
        vibration = (
            load_vib
            + p["vib_heat_gain"] * np.maximum(0.0, temps[:-1] - p["vib_knee_c"])
            + p["vib_wear_gain"] * wears[:-1]
        )
        row["power_kw"][:] = power
        row["temperature_c"][:] = temps[:-1]
        row["vibration_mm_s"][:] = vibration * on
        row["runtime_h"][:] = self.runtime + on * step_h * np.arange(n_steps)[:, None]
        row["status"][:] = status
        if slot % self.plan.clock.truth_slots == 0:
            down = np.where(self.available, 0, r.DOWN)
            damage = [self.wear, self.fatigue, self.electrical, self.runtime]
            sums = [status + down, self.energy, self.planned]
            self.truth.append(np.stack([x, ambient, self.temp, e[r.E_COOLING], *damage, *sums, vibration[0] * on]))
            self.energy, self.planned = np.zeros(len(x)), np.zeros(len(x))
        before = [self.wear, self.fatigue, self.electrical, self.runtime, self.age]
        self.temp, self.wear = temps[-1], wears[-1]
        ageing = p["fatigue_per_k_h"] * above["fatigue_knee_c"].sum(axis=0) * step_h + e[r.E_FATIGUE_PER_H] * slot_h
        if self.has_ageing:
            middles = (np.arange(200) + 0.5) / 200
            for u in middles:
                path = final + (temps[:-1] - final) * np.exp(-u / self.tau_steps)
                doubling = np.exp2((path - p["montsinger_ref_c"]) / p["montsinger_halving_k"]).sum(axis=0)
                ageing = ageing + p["montsinger_per_h"] * doubling * step_h / len(middles)
        self.fatigue = self.fatigue + on * ageing
        self.electrical = self.electrical + p["electrical_per_h"] * x * x * slot_h
        self.runtime = self.runtime + on * slot_h
        self.age = self.age + on * slot_h
        self.energy += power * slot_h
        self.planned += np.where(planned > 0, planned * p["rated_kw"], p["standby_kw"]) * slot_h
        if self.has_noise:
            z = self.normals(self.m.keys[streams.WEAR_NOISE], np.full(len(x), slot, np.uint32))
            self.wear = np.maximum(0.0, self.wear + on * p["wear_noise_per_sqrt_h"] * math.sqrt(slot_h) * z)
        worst = np.maximum(np.maximum(self.wear, self.fatigue), self.electrical)
        if (on & ((worst >= 1.0) | (self.runtime >= p["life_h"]) | (self.age >= self.limit))).any():
            self.fail(slot, on, before)

    def _above(self, temps: np.ndarray, final: np.ndarray, knee: np.ndarray) -> np.ndarray:
        """Mean over each step of max(0, T - knee), (steps, machines)."""
        t0, t1 = temps[:-1], temps[1:]
        above = np.maximum(0.0, final + (t0 - t1) * self.tau_steps - knee)
        k, j = np.nonzero((t0 - knee) * (t1 - knee) < 0.0)
        if len(k):
            a, b, tau, gap = t0[k, j], t1[k, j], self.tau_steps[j], (final - knee)[j]
            share = tau * np.log((a - final[j]) / (knee - final)[j])
            rising = gap * (1.0 - share) - tau * (b - knee[j])
            above[k, j] = np.where(b > knee[j], rising, gap * share + tau * (a - knee[j]))
        return above


def naive_fleet(plan, periods, exact: bool = False, machines: Machines | None = None) -> Result:
    """Simulate consecutive periods from the first; ``exact`` takes SciPy's normals instead of the quick ones."""
    fleet = Fleet(plan, machines or gather(plan), exact)
    n, n_steps = len(plan.machines), plan.clock.n_steps
    parts = []
    for period in periods:
        load, planned = fleet.loads(period)
        sites = np.stack([ambient_of(plan, f, period) for f in range(len(plan.weather))], axis=1)
        ambient = sites[:, fleet.m.factory]
        shape = (period.n_slots, n_steps, n)
        rows = {c: np.empty(shape, np.float32) for c in ("power_kw", "temperature_c", "vibration_mm_s", "runtime_h")}
        rows["status"] = np.empty(shape, np.int8)
        for s in range(period.n_slots):
            fleet.slot(period.first_slot + s, load[s], planned[s], ambient[s], {c: v[s] for c, v in rows.items()})
        rows = {c: v.reshape(-1, n) for c, v in rows.items()}
        sense(fleet, period.first_slot * n_steps, rows)
        parts.append(rows)
    readings = {c: np.concatenate([part[c] for part in parts]) for c in parts[0]}
    readings["keep"] = falsify(fleet, readings)
    truth = np.stack(fleet.truth).transpose(2, 0, 1)
    return Result({c: v.T for c, v in readings.items()}, truth, fleet.events, fleet.cleared)
