"""``nexova energy plan``: a schedule for the day after a dataset, beside what other controllers would come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import ConfigError
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import find_config
from nexova_sim.config.plan import ResolvedPlan
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.kernels.energy import SHIFTS, STEP_H, STEPS
from nexova_sim.report.plan_figure import PlanPicture, plan_figure
from nexova_sim.report.trajectory import figure_bytes
from nexova_sim.run.energy import EnergyResult, config_text, json_text, read_summary, seal, write_texts
from nexova_sim.run.plan_fit import FITTED, compared, fit_model, judge, make_world
from nexova_sim.run.plan_site import Mapping, map_dataset
from nexova_sim.run.plan_usual import HOUR_MS
from nexova_sim.schedule.controllers import FIXED, Controller
from nexova_sim.schedule.modelfile import dump_model, load_model, make_controller
from nexova_sim.schedule.site import COSTS, make_site
from nexova_sim.schedule.tomorrow import make_day
from nexova_sim.schedule.trace import Trace, trace_day

FORMAT = "nexova-energy-plan"
# Not plan.json: a staging folder keeps its own record under that name.
TABLE, SUMMARY, REPLAY, MODEL = "plan.parquet", "schedule.json", "replay.json", "model.json"
ROOMS = ("base", "schema", "config", "kernels", "dataset", "schedule", "report", "run")
_STEP_MS = int(STEP_H * HOUR_MS)


def planner(resolved: ResolvedPlan, model: str | None) -> tuple[str, Path | None]:
    """The controller that is asked for: a name without parameters, or the name of a model file and its path.

    Raises ConfigError when there is neither a controller nor a file of that name, DataError for a damaged file.
    """
    name = model or resolved.plan.model
    if name in FIXED:
        return name, None
    path = find_config(name, None if model else Path(resolved.folder))
    if path.is_dir():
        path = path / MODEL
        if not path.is_file():
            raise ConfigError(f"--model {name}: is a folder without {MODEL}; give what 'energy tune' or 'train' wrote")
    return load_model(path).method, path


def _controller(name: str, path: Path | None, site: SiteConfig) -> Controller:
    return FIXED[name]() if path is None else make_controller(load_model(path), site, path)


def _hashes(dataset: Dataset, resolved: ResolvedPlan, model: Path | str | None, forecast: Path | None
            ) -> tuple[str, str]:  # fmt: skip
    rule = hash_file(find_config(resolved.plan.rule_model, Path(resolved.folder)))
    chosen = hash_file(model) if isinstance(model, Path) else model
    seen = None if forecast is None else _forecast_hash(forecast)
    config = resolved.model_dump(mode="json", exclude={"folder"})
    return hash_value([config, rule, chosen, seen, dataset.manifest.model_dump(mode="json")]), code_hash(*ROOMS)


def _forecast_hash(folder: Path) -> str:
    for path in (folder / "forecast.parquet", folder / "predict" / "forecast.parquet"):
        if path.is_file():
            return hash_file(path)
    raise ConfigError(f"--forecast {folder}: holds no forecast.parquet; 'nexova forecast predict' writes one")


def outline_plan(dataset: str | Path, resolved: ResolvedPlan, model: str | None = None, out: Path | None = None,
                 forecast: Path | None = None) -> dict[str, Any]:  # fmt: skip
    """What planning would do: the machines, the day, what is assumed. Writes nothing."""
    opened = open_dataset(dataset)
    name, path = planner(resolved, model)
    mapped = map_dataset(opened, resolved, forecast)
    _controller(name, path, mapped.site)
    ident = run_id(*_hashes(opened, resolved, path or name, forecast))
    return {
        "folder": str(out or _folder(opened, ident)),
        "controller": name,
        "factory": mapped.factory,
        "machines": [p.ident for p in mapped.machines],
        "start_ms": mapped.day.start_ms,
        "assumed": list(mapped.assumed),
    }


def _folder(opened: Dataset, ident: str) -> Path:
    return Path("results") / "energy-plan" / opened.manifest.name / ident


def plan(dataset: str | Path, resolved: ResolvedPlan, model: str | None = None, out: Path | None = None,
         overwrite: bool = False, forecast: Path | None = None) -> EnergyResult:  # fmt: skip
    """Plan the day after ``dataset``; writes plan.parquet, schedule.json, replay.json, plan.png and plan.svg.

    ``model`` is a model file, a folder with one, or the name of a controller without parameters, used as it is. Without
    it the shipped scheduler is fitted to the fleet, and kept as shipped when that costs less on other days. Raises
    ConfigError or DataError for a dataset without energy, a model that is missing or was made for another fleet.
    """
    opened = open_dataset(dataset)
    name, path = planner(resolved, model)
    hashes = _hashes(opened, resolved, path or name, forecast)
    ident = run_id(*hashes)
    folder = out or _folder(opened, ident)
    if not overwrite and is_same(folder, *hashes):
        return EnergyResult(folder, ident, read_summary(folder, SUMMARY), True)
    mapped = map_dataset(opened, resolved, forecast)
    site = make_site(mapped.site)
    world = make_world(site, make_day(site, mapped.outlook), resolved.plan)
    shipped = None if path is None else load_model(path)
    rule = find_config(resolved.plan.rule_model, Path(resolved.folder))
    controllers = {name: _controller(name, path, mapped.site)}
    controllers |= {n: _controller(n, rule if n == "rule" else None, mapped.site) for n in resolved.plan.compare
                    if n != name}  # fmt: skip
    own, kept = name, shipped
    if shipped is not None and name == "bids" and model is None and resolved.plan.fit_iterations:
        fitted = fit_model(world, shipped, resolved.plan)
        controllers = {FITTED: make_controller(fitted, mapped.site, Path(FITTED))} | controllers
    costs = judge(world, controllers)
    if FITTED in costs and costs[FITTED].mean() < costs[name].mean():
        own, kept = FITTED, fitted
    traces = {n: trace_day(controllers[n], site, world.day) for n in sorted(controllers, key=lambda n: n != own)}
    summary = _summary(opened, mapped, own, traces) | {"scenarios": compared(costs, own)}
    with staged(folder, {"config": hashes[0], "code": hashes[1]}, overwrite) as stage:
        names = _write(stage, mapped, summary, traces[own])
        if kept is not None:
            write_texts(stage, {MODEL: dump_model(kept)})
            names.append(MODEL)
        write_texts(stage, {"config.resolved.yaml": config_text(resolved)})
        seal(stage, FORMAT, hashes, [*names, "config.resolved.yaml"])
    return EnergyResult(folder, ident, summary, False)


def cost_row(trace: Trace) -> dict[str, float]:
    """Cost of a traced day in USD by part and in sum, its highest power in kW, and its trips."""
    split = {f"{n}_usd": round(float(v), 4) for n, v in zip(COSTS, trace.costs.sum(axis=0), strict=True)}
    return {"total_usd": round(float(trace.costs.sum()), 4), **split, "peak_kw": round(float(trace.total_kw.max()), 3),
            "energy_kwh": round(float(trace.total_kw.sum() * STEP_H), 3), "trips": trace.n_trips}  # fmt: skip


def _summary(opened: Dataset, mapped: Mapping, name: str, traces: dict[str, Trace]) -> dict[str, Any]:
    rows = {n: cost_row(t) for n, t in traces.items()}
    own, price = traces[name], mapped.outlook.price_usd_per_kwh
    usual_kw = mapped.usual_kw.sum(axis=0) + mapped.outlook.base_kw
    tariff = mapped.site.tariff
    usual = {
        "energy_usd": round(float((usual_kw * price).sum()), 4),
        "demand_usd": round(tariff.demand_usd_per_kw * max(0.0, float(usual_kw.max()) - tariff.contract_kw), 4),
        "peak_kw": round(float(usual_kw.max()), 3),
        "energy_kwh": round(float(usual_kw.sum()), 3),
    }
    return {
        "dataset": opened.manifest.name,
        "factory": mapped.factory,
        "timezone": mapped.day.timezone,
        "start_ms": mapped.day.start_ms,
        "controller": name,
        "base_from": mapped.base_from,
        "assumed": list(mapped.assumed),
        "left_out": mapped.left_out,
        "machines": _machines(mapped, own, price),
        "costs": rows,
        "saving_usd": {n: round(row["total_usd"] - rows[name]["total_usd"], 4) for n, row in rows.items() if n != name},
        "usual": usual,
        "contract_kw": round(tariff.contract_kw, 3),
        "hours": {"price_usd_per_kwh": _round(price), "base_kw": _round(mapped.outlook.base_kw),
                  "usual_kw": _round(usual_kw), "level": mapped.outlook.level.tolist()},
        "total_kw": {n: _round(t.total_kw) for n, t in traces.items()},
        "load_frac": [_round(row) for row in own.load_frac.T],
    }  # fmt: skip


def _round(values: np.ndarray, digits: int = 4) -> list[float]:
    return [round(float(v), digits) for v in values]


def _machines(mapped: Mapping, own: Trace, price_usd_per_kwh: np.ndarray) -> list[dict[str, Any]]:
    rows = []
    steps = np.repeat(price_usd_per_kwh, STEPS // len(price_usd_per_kwh))
    for j, placed in enumerate(mapped.machines):
        on = own.load_frac[:, j] > 0.0
        rows.append({
            "machine_id": placed.ident, "kind": placed.kind, "planned_as": placed.site_kind,
            "rated_kw": round(placed.rated_kw, 3), "last_status": placed.last_status,
            "work_h": _round(mapped.outlook.quota_h[:, j]), "hours_on": float(on.sum() * STEP_H),
            "starts": int((on & ~np.r_[False, on[:-1]]).sum()),
            "energy_kwh": round(float(own.power_kw[:, j].sum() * STEP_H), 3),
            "energy_usd": round(float((own.power_kw[:, j] * steps).sum() * STEP_H), 4),
            "highest_c": round(float(own.temp_c[:, j].max()), 2),
        })  # fmt: skip
    return rows


def _write(stage: Stage, mapped: Mapping, summary: dict[str, Any], own: Trace) -> list[str]:
    """Table, summary, replay and pictures into the staging folder; their names."""
    sink = pa.BufferOutputStream()
    pq.write_table(plan_table(mapped, own), sink, compression="zstd")
    write_durably(stage.folder / TABLE, sink.getvalue().to_pybytes())
    outlook = {key: np.asarray(value).tolist() for key, value in mapped.outlook._asdict().items()}
    replay = {"site": mapped.site.model_dump(mode="json"), "outlook": outlook, "controller": summary["controller"],
              "machines": [p.ident for p in mapped.machines], "start_ms": mapped.day.start_ms,
              "timezone": mapped.day.timezone}  # fmt: skip
    write_texts(stage, {SUMMARY: json_text(summary), REPLAY: json_text(replay)})
    rows = [
        (m["machine_id"], np.array(load)) for m, load in zip(summary["machines"], summary["load_frac"], strict=True)
    ]
    title = f"{summary['dataset']}, {summary['factory']}: schedule by {summary['controller']}"
    rivals = {n: np.array(v) for n, v in summary["total_kw"].items() if n == "bau"}
    figure = plan_figure(PlanPicture(title, summary["start_ms"], summary["timezone"], rows,
                                     mapped.outlook.price_usd_per_kwh, own.total_kw, rivals))  # fmt: skip
    for form in ("png", "svg"):
        write_durably(stage.folder / f"plan.{form}", figure_bytes(figure, form))
    return [TABLE, SUMMARY, REPLAY, "plan.png", "plan.svg"]


def plan_table(mapped: Mapping, own: Trace) -> pa.Table:
    """Long table of the plan: machine_id, timestamp (start of the step, UTC), load, power, on, temperature, price."""
    m = len(mapped.machines)
    times = mapped.day.start_ms + _STEP_MS * np.arange(STEPS)
    price = np.repeat(mapped.outlook.price_usd_per_kwh, STEPS // len(mapped.outlook.price_usd_per_kwh))
    return pa.table({
        "machine_id": pa.array(np.repeat([p.ident for p in mapped.machines], STEPS).tolist(), pa.string()),
        "timestamp": pa.array(np.tile(times, m), pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
        "shift": pa.array(np.tile(np.repeat(np.arange(1, SHIFTS + 1), STEPS // SHIFTS), m), pa.int8()),
        "load_frac": own.load_frac.T.ravel(),
        "power_kw": own.power_kw.T.ravel(),
        "is_on": own.load_frac.T.ravel() > 0.0,
        "temp_c": own.temp_c.T.ravel(),
        "price_usd_per_kwh": np.tile(price, m),
    })  # fmt: skip
