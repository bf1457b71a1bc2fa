"""A run of the twin as a table with units and meaning, and as a summary for people and programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from nexova_sim.config.scenario import ResolvedTwin
from nexova_sim.kernels.health import health_of, risk_class
from nexova_sim.kernels.rows import (
    DOWN,
    T_AMBIENT,
    T_COOLING,
    T_ELECTRICAL,
    T_ENERGY,
    T_FATIGUE,
    T_LOAD,
    T_RUNTIME,
    T_STATUS,
    T_TEMP,
    T_VIBRATION,
    T_WEAR,
)
from nexova_sim.schema.channels import FAILURE_EVENTS, RISK_CLASSES, STATUSES, Channel
from nexova_sim.schema.tables import field
from nexova_sim.simulate.twin import TwinRun

TRAJECTORY = (
    Channel("time_h", "h", "float64", 0.0, None, "hours since the start"),
    Channel("phase", "1", "text", None, None, "phase of the scenario"),
    Channel("status", "1", "text", None, None, "ONLINE or OFFLINE (stopped by plan or failed)"),
    Channel("is_failed", "1", "bool", None, None, "whether an event has ended the machine's life"),
    Channel("load_frac", "1", "float64", 0.0, 2.0, "load as a fraction of rated power"),
    Channel("power_kw", "kW", "float64", 0.0, None, "electrical input power"),
    Channel("energy_kwh", "kWh", "float64", 0.0, None, "energy since the previous row"),
    Channel("ambient_c", "degC", "float64", -60.0, 60.0, "ambient temperature"),
    Channel("cooling_frac", "1", "float64", 0.0, 1.0, "cooling factor, 1 = as built"),
    Channel("temp_c", "degC", "float64", -60.0, None, "housing temperature"),
    Channel("vibration_mm_s", "mm/s", "float64", 0.0, None, "vibration velocity, RMS"),
    Channel("wear_frac", "1", "float64", 0.0, 1.0, "bearing wear, 1 = failed"),
    Channel("fatigue_frac", "1", "float64", 0.0, 1.0, "thermal fatigue, 1 = failed"),
    Channel("electrical_frac", "1", "float64", 0.0, 1.0, "electrical stress, 1 = failed"),
    Channel("runtime_h", "h", "float64", 0.0, None, "running hours"),
    Channel("health_percent", "%", "float64", 0.0, 100.0, "weighted health"),
    Channel("risk_class", "1", "text", None, None, "HEALTHY above 80 %, WARNING above 60 %, else CRITICAL"),
    Channel("failure_index", "1", "float64", 0.0, 1.0, "1 - health/100; no probability"),
    Channel("rul_h", "h", "float64", 0.0, None, "hours to the first event, by running on; null = none within 30 years"),
    Channel("rul_seed_formula_h", "h", "float64", 0.0, None, "(1 - wear) * rated life - runtime, the baseline"),
)


def health_column(resolved: ResolvedTwin, truth: np.ndarray) -> np.ndarray:
    """Health percent of every row of ``truth`` (n, N_TRUTH); (n,) float64."""
    out = np.empty(len(truth))
    life = np.full(len(truth), resolved.kind.damage.rated_life_h)
    columns = (truth[:, c].copy() for c in (T_FATIGUE, T_WEAR, T_ELECTRICAL, T_RUNTIME))
    health_of(*columns, life, out)
    return out


def trajectory_table(resolved: ResolvedTwin, run: TwinRun) -> pa.Table:
    """The trajectory as an Arrow table, one row per sample; units and meaning are in the field metadata."""
    truth, kind = run.truth, resolved.kind
    health = health_column(resolved, truth)
    is_failed = truth[:, T_STATUS] >= DOWN
    status = truth[:, T_STATUS].astype(np.int64) % DOWN
    names = [p.name or f"phase {n + 1}" for n, p in enumerate(resolved.scenario.phases)]
    standby_kw = kind.rated_kw * kind.standby_frac
    wear, runtime_h = truth[:, T_WEAR], truth[:, T_RUNTIME]
    columns: dict[str, Any] = {
        "time_h": run.time_h,
        "phase": [names[p] for p in run.phase],
        "status": [STATUSES[s] for s in status],
        "is_failed": is_failed,
        "load_frac": truth[:, T_LOAD],
        "power_kw": np.where(truth[:, T_LOAD] > 0.0, truth[:, T_LOAD] * kind.rated_kw, standby_kw),
        "energy_kwh": truth[:, T_ENERGY],
        "ambient_c": truth[:, T_AMBIENT],
        "cooling_frac": truth[:, T_COOLING],
        "temp_c": truth[:, T_TEMP],
        "vibration_mm_s": truth[:, T_VIBRATION],
        "wear_frac": wear,
        "fatigue_frac": truth[:, T_FATIGUE],
        "electrical_frac": truth[:, T_ELECTRICAL],
        "runtime_h": runtime_h,
        "health_percent": health,
        "risk_class": [RISK_CLASSES[risk_class(h)] for h in health],
        "failure_index": 1.0 - health / 100.0,
        "rul_h": pa.array(np.maximum(0.0, run.end_h - run.time_h), from_pandas=True),
        "rul_seed_formula_h": np.maximum(0.0, (1.0 - wear) * kind.damage.rated_life_h - runtime_h),
    }
    schema = pa.schema([field(c) for c in TRAJECTORY], metadata={"nexova_table": "trajectory"})
    return pa.Table.from_arrays([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def summarise(resolved: ResolvedTwin, run: TwinRun, table: pa.Table) -> dict[str, Any]:
    """What a person asks of a run, JSON-like: which event, when, remaining life, extremes, and the state at the end.

    Every event has its state in [0, 1] at the end of the trajectory (1 = none of it used, 0 = threshold met) and the
    time at which it alone would be met. ``table`` is the trajectory table of ``run``.
    """
    first, last = (table.slice(n, 1).to_pylist()[0] for n in (0, table.num_rows - 1))
    hours = resolved.scenario.hours
    return {
        "kind": resolved.kind.kind,
        "title": resolved.kind.title,
        "scenario": resolved.scenario.name,
        "physics": resolved.physics,
        "hours": hours,
        "dt_s": resolved.step_s,
        "every_h": resolved.sample_min / 60.0,
        "rows": table.num_rows,
        "first_event": FAILURE_EVENTS[run.first_event] if run.first_event >= 0 else None,
        "time_of_event_h": _number(run.end_h),
        "rul_start_h": first["rul_h"],
        "rul_end_h": last["rul_h"],
        "rul_seed_formula_start_h": first["rul_seed_formula_h"],
        "rul_seed_formula_end_h": last["rul_seed_formula_h"],
        "events": _events(resolved, run, last),
        "risk": _risk_changes(table),
        "max_temp_c": float(np.max(table["temp_c"].to_numpy())),
        "max_vibration_mm_s": float(np.max(table["vibration_mm_s"].to_numpy())),
        "energy_kwh": float(np.sum(table["energy_kwh"].to_numpy())),
        "end": last,
    }


def _events(resolved: ResolvedTwin, run: TwinRun, last: dict[str, Any]) -> list[dict[str, Any]]:
    life_h = resolved.kind.damage.rated_life_h
    used = (last["wear_frac"], last["fatigue_frac"], last["electrical_frac"], last["runtime_h"] / life_h)
    return [
        {
            "event": name,
            "event_state": max(0.0, 1.0 - used[n]) if n < len(used) else None,
            "threshold_met": run.first_event == n and run.end_h <= resolved.scenario.hours,
            "time_of_event_h": _number(run.event_h[n]),
        }
        for n, name in enumerate(FAILURE_EVENTS)
        if n < len(used) or resolved.scenario.random_failures
    ]


def _risk_changes(table: pa.Table) -> list[dict[str, Any]]:
    """The rows at which the risk class is another than in the row before, and the first row."""
    risk = table["risk_class"].to_numpy(zero_copy_only=False)
    rows = [0, *(np.flatnonzero(risk[1:] != risk[:-1]) + 1)]
    return [{"time_h": table["time_h"][int(n)].as_py(), "risk_class": risk[n]} for n in rows]
