"""A report with every chapter and hostile names in it, and one of a thousand machines, for tests in a browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from nexova_sim.config.experiment import ReportStage, load_experiment
from nexova_sim.report.chapters import make_chapters
from nexova_sim.report.html import Making, render
from nexova_sim.report.series import empty_series, make_grid
from nexova_sim.run.experiment import run_experiment
from nexova_sim.run.report_data import collect, making_of
from tests.report_fleet import END, HOUR, START, description, events_table, factories_table, labels_table, manifest
from tests.report_fleet import fleet as small_fleet

EVIL = (
    "<script>window.pwned=1</script>",
    "\"><img src=x onerror='window.pwned=2'>",
    "</script></style></textarea><svg onload=window.pwned=3>",
    "\u202egrinder \u0645\u0636\u062e\u0629 \u05de\u05db\u05d5\u05e0\u05d4 a|b `c` {{ 7*7 }} [d](javascript:e)",
    "M" * 300,
)
TITLE = EVIL[0] + " & " + "W" * 120
EXPERIMENT = {
    "name": "pages",
    "simulate": {"fleet": "configs/fleet/tiny.yaml", "overrides": {"days": 4, "dt_s": 600}},
    "alerts": {"policy": "isa18"}, "approvals": {}, "twin": {}, "forecast": {"backtest": False, "overrides": [
        "model=seasonal_naive_168"]},
    "anomaly": {"overrides": ["calibration.max_fit_rows=2000"]},
    "energy": {"overrides": {
        "opportunities": ["window_hours=40"], "evaluate": ["controllers=[bau,flat]", "baseline=bau", "n_resamples=100"],
        "plan": ["fit_iterations=3", "fit_days=2", "n_scenarios=4"]}},
    "decisions": {"policies": ["never", "seed_rules"], "overrides": ["twin.futures=8"]},
    "report": None,
}  # fmt: skip


def renamed(table, names):
    """The table with machines called otherwise, wherever a text is exactly a name."""
    for place, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string(kind):
            texts = [names.get(v, v) for v in table.column(place).cast(pa.string()).to_pylist()]
            array = pa.array(texts, pa.string())
            table = table.set_column(place, field, array.dictionary_encode().cast(field.type)
                                     if pa.types.is_dictionary(field.type) else array)  # fmt: skip
    return table


def rename_folder(folder, names):
    """Rename machines in every Parquet and JSON file of a folder."""
    for path in folder.rglob("*.parquet"):
        pq.write_table(renamed(pq.read_table(path, partitioning=None), names), path)
    for path in folder.rglob("*.json"):
        text = path.read_text(encoding="utf-8")
        for old, new in names.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        path.write_text(text, encoding="utf-8")


def lives(names):
    """What the stage rul leaves, by hand: eight machines live too well to learn from."""
    rows = [
        {"machine_id": n, "kind": "PUMP", "rul_h": 900.0 * k, "low_h": 600.0 * k, "high_h": 1200.0 * k + 9,
         "p_fail": 1.0 / (k * k + 1), "cost_of_waiting_usd": 900.0 / (k + 1)}
        for k, n in enumerate(names)
    ]  # fmt: skip
    return {"name": "hand", "method": "twin", "horizon_h": 72.0, "coverage_frac": 0.9, "left_out": {}, "machines": rows}


def whole_run(folder: Path):
    """A run through every stage but rul and report: artifacts by name, and the ids of its machines."""
    (folder / "e.yaml").write_text(yaml.safe_dump(EXPERIMENT), encoding="utf-8")
    done = run_experiment(load_experiment(folder / "e.yaml"), folder / "run", jobs=1)
    gives = {"simulate": "dataset", "describe": "description.json"}
    inputs = {s.name: s.folder / gives.get(s.name, s.name) for s in done.stages}
    return {gives.get(name, name): path for name, path in inputs.items()}


def hostile_page(folder: Path) -> str:
    """The page of a run through every stage, five of its machines and the run itself with hostile names."""
    inputs = whole_run(folder)
    fleet = collect(inputs["dataset"], inputs["description.json"], ReportStage(), lambda _done, _total: None)
    ids = [str(v) for v in fleet.machines.column("machine_id").to_pylist()]
    names = dict(zip(ids, EVIL, strict=False))
    told = [names.get(n, n) for n in ids]
    for name, path in inputs.items():
        if name not in {"dataset", "description.json"}:
            rename_folder(path, names)
    inputs["rul"] = folder / "rul"
    (folder / "rul" / "predict").mkdir(parents=True)
    (folder / "rul" / "predict" / "predict.json").write_text(json.dumps(lives(told)), encoding="utf-8")
    for row in fleet.description["gaps"]["by_machine"]:
        row["machine_id"] = names.get(row["machine_id"], row["machine_id"])
    making = making_of(inputs["dataset"], "0" * 12, "simulate", fleet.manifest)
    fleet = fleet._replace(**{t: renamed(getattr(fleet, t), names) for t in ("machines", "labels", "events")})
    return render(TITLE, fleet, making, 3, make_chapters(inputs)).html


def thousand_page(n: int = 1000) -> str:
    """The page of n machines over thirty days, a fifth of them with a fault and a failure."""
    names = [f"plant{k % 7}-machine-{k:04d}" for k in range(n)]
    end = START + 720 * HOUR
    grid = make_grid(START, end, 480, 60.0)
    series = empty_series(grid, n, 60.0)
    noise = np.random.default_rng(1).random((3, n, grid.n_bins))
    series.low[:], series.high[:] = noise, noise + 1.0
    series.n_valid[:], series.total[:] = 1, noise + 0.5
    series.energy_kwh[:], series.status[0] = noise[0], 1
    series.last_ms[:], series.last_status[:] = end - 1, 0
    health = 100.0 - 60.0 * np.linspace(0.0, 1.0, grid.n_bins) * noise[0, :, :1]
    one = small_fleet().machines.slice(0, 1)
    machines = pa.concat_tables([one] * n).combine_chunks()
    ids = pa.array(names).dictionary_encode().cast(machines.schema.field("machine_id").type)
    machines = machines.set_column(0, machines.schema.field("machine_id"), ids)
    gaps = [{"machine_id": v, "rows": 100, "n_gaps": 1, "missing_rows": 1, "longest_s": 60.0} for v in names]
    about = description(("a", "b", "c"))
    about["gaps"]["by_machine"] = gaps
    base = small_fleet()
    fleet = base._replace(
        manifest=manifest(end="2026-02-04T00:00:00Z"), description=about, machines=machines, series=series,
        health=health, factories=factories_table(),
        labels=labels_table([(v, "bearing_wear", None, 10.0, 90.0, 0.8, False) for v in names[::5]]),
        events=events_table([(v, 15.0, "failure", "bearing", "") for v in names[::5]]),
    )  # fmt: skip
    assert machines.column("machine_id").to_pylist()[-1] == names[-1] and end > END
    return render("A thousand machines", fleet, Making((), (), ""), 4).html
