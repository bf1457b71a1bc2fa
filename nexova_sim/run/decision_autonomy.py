"""``nexova decisions autonomy``: the closed loop over autonomy levels, latencies and skills of the reviewer."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.autonomy import AutonomyConfig, ResolvedAutonomy
from nexova_sim.config.decision import Gate, ResolvedDecision
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.stage import is_same, staged, write_durably
from nexova_sim.dataset.write import file_entry
from nexova_sim.decide.context import Context
from nexova_sim.decide.policy import ASKING, Verdict, check_policy
from nexova_sim.run.decision_loop import ledger_row, run_loop
from nexova_sim.run.decision_models import player_for
from nexova_sim.run.decision_twin import Laboratory
from nexova_sim.run.decisions import ROOMS, Scene, decide_all
from nexova_sim.run.simulate import simulate
from nexova_sim.schema.manifest import MANIFEST_NAME

Progress = Callable[[int, int], None]
FORMAT = "nexova-autonomy-study"


class Setting(NamedTuple):
    """One cell of the study."""

    policy: str
    level: str
    latency_h: float
    skill_frac: float


class AutonomyResult(NamedTuple):
    """What a study left: its folder and its rows, one per setting and seed."""

    folder: Path
    run_id: str
    rows: list[dict[str, Any]]
    was_there: bool


def settings_of(study: AutonomyConfig) -> list[Setting]:
    """The cells of a study, ``never`` first; where everything is autonomous there is no latency and no reviewer."""
    found = [Setting("never", "all", 0.0, 0.0)]
    for policy in study.policies:
        for level, actions in study.levels.items():
            if len(set(actions)) == 2:
                found.append(Setting(policy, level, 0.0, 0.0))
                continue
            found += [
                Setting(policy, level, latency, skill) for skill in study.skill_frac for latency in study.latency_h
            ]
    return found


def run_autonomy(resolved: ResolvedAutonomy, out: Path | None = None, overwrite: bool = False,
                 progress: Progress = lambda _done, _total: None) -> AutonomyResult:  # fmt: skip
    """Every cell of the study for every seed: autonomy.json, autonomy.csv and a plot in a run folder."""
    config_hash, code = hash_value(resolved.model_dump(mode="json")), code_hash(*ROOMS, "report")
    ident = run_id(config_hash, code)
    folder = out or Path("results") / "autonomy" / resolved.study.name / ident
    if not overwrite and is_same(folder, config_hash, code):
        rows = json.loads((folder / "autonomy.json").read_text(encoding="utf-8"))["rows"]
        return AutonomyResult(folder, ident, rows, True)
    cells = settings_of(resolved.study)
    for name in {cell.policy for cell in cells}:
        check_policy(name)
    rows = list(_rows(resolved, cells, progress))
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        files = []
        for name, data in _texts(resolved, rows).items():
            write_durably(stage.folder / name, data)
            files.append(file_entry(stage, name, 0).model_dump())
        manifest = {"format": FORMAT, "config_hash": config_hash, "code_hash": code, "files": files}
        write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return AutonomyResult(folder, ident, rows, False)


def _rows(resolved: ResolvedAutonomy, cells: list[Setting], progress: Progress) -> Iterator[dict[str, Any]]:
    total, done = len(cells) * len(resolved.fleets), 0
    for fleet in resolved.fleets:
        with tempfile.TemporaryDirectory(prefix="nexova-autonomy-") as place:
            dataset = open_dataset(simulate(fleet, Path(place) / "fleet").folder)
            for cell in cells:
                done += 1
                progress(done, total)
                yield {"seed": fleet.fleet.seed, **cell._asdict(), **_cell(dataset, resolved, cell)}


def _cell(dataset: Dataset, resolved: ResolvedAutonomy, cell: Setting) -> dict[str, Any]:
    given = resolved.decision
    actions = resolved.study.levels.get(cell.level, ["MAINTENANCE", "OFFLINE"])
    gate = Gate(autonomous=list(actions), latency_h=cell.latency_h, skill_frac=cell.skill_frac)
    changed = given.model_copy(update={"decision": given.decision.model_copy(update={"gate": gate})})
    row = ledger_row(run_loop(dataset, changed, cell.policy, _decider(cell.policy, changed),
                              changed.decision.loop.most_waves))  # fmt: skip
    return {key: value for key, value in row.items() if key != "policy"}


def _decider(name: str, resolved: ResolvedDecision) -> Callable[[Laboratory, list[Context]], list[Verdict]]:
    player = player_for(name, resolved.decision, "replay", None) if check_policy(name) in ASKING else None

    def decide(lab: Laboratory, contexts: list[Context]) -> list[Verdict]:
        scene = Scene(lab.dataset, contexts, lab, None)
        return [own[0] for own in decide_all(scene, name, resolved.decision, player)]

    return decide


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over the seeds of every cell."""
    keys = ("policy", "level", "latency_h", "skill_frac")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    numbers = ("total_usd", "n_services", "n_failures", "n_call_outs", "n_rejected", "failure_usd", "service_usd",
               "lost_production_usd", "energy_usd")  # fmt: skip
    return [
        {**dict(zip(keys, name, strict=True)), "seeds": len(own),
         **{key: sum(float(row[key]) for row in own) / len(own) for key in numbers}}
        for name, own in groups.items()
    ]  # fmt: skip


def _texts(resolved: ResolvedAutonomy, rows: list[dict[str, Any]]) -> dict[str, bytes]:
    from nexova_sim.report.autonomy import autonomy_figure
    from nexova_sim.report.trajectory import figure_bytes

    sheet = io.StringIO()
    writer = csv.DictWriter(sheet, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    figure = autonomy_figure(means(rows), resolved.study.title)
    found = {"study": resolved.study.model_dump(mode="json"), "means": means(rows), "rows": rows}
    config = yaml.safe_dump(resolved.study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return {
        "autonomy.json": (json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        "autonomy.csv": sheet.getvalue().encode(),
        "plot.png": figure_bytes(figure, "png"),
        "plot.svg": figure_bytes(figure, "svg"),
        "config.resolved.yaml": config.encode(),
    }
