"""``nexova run``: an experiment stage by stage. What is there and whole is not made again; the rest resumes.

results/run/<name>/stages/<stage>/<id>/ is what a stage left, with ``manifest.json`` (hash of every file) written last;
results/run/<name>/<run id>/ is the run: its configuration, metrics, report, and one provenance file per invocation.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import hash_file, hash_value, run_id
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.config.ingest_stage import IngestPart
from nexova_sim.dataset.stage import PLAN_NAME, explain_os_error, staged, write_durably
from nexova_sim.run.cost import cpu_seconds
from nexova_sim.run.fitness import CHECKS, check_fit, facts_before, facts_of, skip_after
from nexova_sim.run.provenance import provenance
from nexova_sim.run.records import (
    CONFIG_NAME,
    METRICS_NAME,
    RUN_FORMAT,
    SWEEP_FORMAT,
    check_place,
    json_text,
    write_json,
    write_provenance,
    write_resolved,
    write_yaml,
)
from nexova_sim.run.stage import Stage, Work, stage_code
from nexova_sim.run.stage_ingest import ingest_inputs
from nexova_sim.run.stages import STAGES, check_stage
from nexova_sim.schema.manifest import MANIFEST_NAME, load_manifest

FORMAT = "nexova-stage"
_SELF_HASH = "manifest_sha256"
_DAMAGED_MANIFEST = f"damaged: {MANIFEST_NAME}"
Watch = Callable[[str, int, int], None]


class StageRun(NamedTuple):
    """A stage in a run. ``state``: cached, ran, skipped, or in a plan: to run; ``why`` says why it is not cached."""

    name: str
    id: str
    folder: Path
    state: str
    why: str
    cpu_s: float
    metrics: Mapping[str, Any]


class ExperimentResult(NamedTuple):
    """What a run left: its folder, the stages it went through, the files copied beside its records."""

    folder: Path
    run_id: str
    stages: tuple[StageRun, ...]
    exports: tuple[Path, ...]


class Selection(NamedTuple):
    """Which stages to go through: one ``only``, or all with those from ``first`` on made anew even when cached."""

    only: str | None = None
    first: str | None = None


def default_root(resolved: ResolvedExperiment, results: Path = Path("results")) -> Path:
    """Where an experiment goes when no ``--out`` is given: results/run/<name>."""
    return results / "run" / resolved.experiment.name


def enabled(resolved: ResolvedExperiment) -> tuple[str, ...]:
    """Names of the stages whose section is there, in the order of the registry."""
    return tuple(name for name in STAGES if getattr(resolved.experiment, name) is not None)


def find_damage(folder: Path, ident: str) -> str | None:
    """Why the stage output in ``folder`` cannot be used (not there, damaged: FILE), or None when it is whole."""
    if not folder.is_dir():
        return "not there"
    try:
        text = (folder / MANIFEST_NAME).read_text(encoding="utf-8")
        raw = json.loads(text)
        own = {key: value for key, value in raw.items() if key != _SELF_HASH}
        if raw["format"] != FORMAT or raw["id"] != ident or text != json_text(own | {_SELF_HASH: hash_value(own)}):
            return _DAMAGED_MANIFEST
        files = [(str(f["path"]), int(f["bytes"]), str(f["sha256"])) for f in raw["files"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _DAMAGED_MANIFEST
    for path, size, digest in files:
        target = folder / path
        if not target.is_file() or target.stat().st_size != size or hash_file(target) != digest:
            return f"damaged: {path}"
    return None


class _Node(NamedTuple):
    """A stage placed in an experiment: its identity and where everything it reads lies."""

    name: str
    stage: Stage
    id: str
    folder: Path
    config: Any
    inputs: dict[str, Path]
    ids: dict[str, str]


def _nodes(resolved: ResolvedExperiment, root: Path) -> dict[str, _Node]:
    """Every enabled stage with its identity; ConfigError when a stage needs what no enabled stage leaves."""
    paths: dict[str, Path] = {}
    ids: dict[str, str] = {}
    given = resolved.experiment.dataset
    if given is not None:
        paths["dataset"] = Path(given)
        load_manifest(paths["dataset"])
        ids["dataset"] = hash_file(paths["dataset"] / MANIFEST_NAME)[:12]
    nodes = {}
    for name in enabled(resolved):
        stage = STAGES[name]
        for need in stage.needs:
            if need not in paths:
                maker = next(n for n, s in STAGES.items() if s.gives == need)
                raise ConfigError(f"stage {name} needs {need}, which stage {maker} leaves; add the section {maker!r}")
        config = stage.config(resolved)
        wanted = (*stage.needs, *(name for name in stage.uses if name in paths))
        inputs = {need: ids[need] for need in wanted}
        ident = run_id(name, config, stage_code(stage), inputs)
        folder = root / "stages" / name / ident
        nodes[name] = _Node(name, stage, ident, folder, config, {n: paths[n] for n in wanted}, inputs)
        paths[stage.gives], ids[stage.gives] = folder / stage.gives, ident
    return nodes


def _chosen(resolved: ResolvedExperiment, selection: Selection) -> tuple[tuple[str, ...], frozenset[str]]:
    """Stages to go through, and those of them to make anew although they are cached."""
    names = enabled(resolved)
    if selection.only and selection.first:
        raise ConfigError("--only and --from exclude each other; give one of them")
    for flag, name in (("--only", selection.only), ("--from", selection.first)):
        if name is None:
            continue
        check_stage(name, flag)
        if name not in names:
            raise ConfigError(f"{flag} {name}: this experiment has no section {name!r}, only {', '.join(names)}")
    if selection.only:
        return (selection.only,), frozenset()
    return names, frozenset(names[names.index(selection.first) :]) if selection.first else frozenset()


def identify(resolved: ResolvedExperiment) -> str:
    """The run id: hash of the configuration of every stage, the code it runs through and what it reads."""
    return _ident(resolved, _nodes(resolved, Path()))


def _ident(resolved: ResolvedExperiment, nodes: Mapping[str, _Node]) -> str:
    return run_id(resolved.experiment.name, {name: node.id for name, node in nodes.items()})


def plan_experiment(resolved: ResolvedExperiment, out: Path | None = None,
                    selection: Selection = Selection()) -> tuple[StageRun, ...]:  # fmt: skip # noqa: B008
    """What a run would do: every chosen stage with its folder, and whether it is cached. Writes nothing."""
    root = out or default_root(resolved)
    check_place(root, (RUN_FORMAT, SWEEP_FORMAT))
    names, anew = _chosen(resolved, selection)
    nodes = _nodes(resolved, root)
    if selection.only:
        _need_inputs(nodes, nodes[selection.only])
    if resolved.fleet is not None and "simulate" in names:
        # What simulating would refuse is refused here, too.
        from nexova_sim.run.simulate import outline

        outline(resolved.fleet)
    skipped = _check_fit(resolved, nodes, names)
    plan = []
    for name in names:
        node = nodes[name]
        why: str | None = skipped.get(name)
        if why:
            plan.append(StageRun(name, node.id, node.folder, "skipped", why, 0.0, {}))
            continue
        why = "asked for by --from" if name in anew else find_damage(node.folder, node.id)
        plan.append(StageRun(name, node.id, node.folder, "to run" if why else "cached", why or "", 0.0, {}))
    return tuple(plan)


def _check_fit(resolved: ResolvedExperiment, nodes: Mapping[str, _Node], names: tuple[str, ...]) -> dict[str, str]:
    """Stages that cannot work on the dataset; of one that is still to be made as far as its configuration tells."""
    if not set(names) & set(CHECKS):
        return {}
    source = next((node for node in nodes.values() if node.stage.gives == "dataset"), None)
    is_there = source is not None and find_damage(source.folder, source.id) is None
    facts = facts_of(source.folder / "dataset") if source is not None and is_there else facts_before(resolved)
    return check_fit(resolved, facts, names)


def run_experiment(resolved: ResolvedExperiment, out: Path | None = None, selection: Selection = Selection(),  # noqa: B008
                   jobs: int | None = None, watch: Watch | None = None) -> ExperimentResult:  # fmt: skip
    """Run an experiment into ``out`` (default results/run/<name>); only what is not there or damaged is made.

    Raises ConfigError for an unknown stage, DataError when an input is missing or the disk refuses. An interrupted run
    is completed by calling again.
    """
    started = datetime.now(UTC)
    root = out or default_root(resolved)
    check_place(root, (RUN_FORMAT, SWEEP_FORMAT))
    names, anew = _chosen(resolved, selection)
    nodes = _nodes(resolved, root)
    if selection.only:
        _need_inputs(nodes, nodes[selection.only])
    ident = _ident(resolved, nodes)
    skipped = _check_fit(resolved, nodes, names)
    done = []
    for name in names:
        node = nodes[name]
        if name in skipped:
            done.append(StageRun(name, node.id, node.folder, "skipped", skipped[name], 0.0, {}))
            continue
        why = "asked for by --from" if name in anew else find_damage(node.folder, node.id)
        cpu_s = cpu_seconds() if why else 0.0
        if why:
            if why == _DAMAGED_MANIFEST:
                # The folder is ours, named by its content, but nothing in it can be trusted or told apart any more.
                shutil.rmtree(node.folder)
            try:
                _run_stage(node, resolved, skipped, jobs, watch)
            except DataError as error:
                skipped = skipped | skip_after(resolved, name, names, error)
                done.append(StageRun(name, node.id, node.folder, "skipped", skipped[name], 0.0, {}))
                continue
            cpu_s = round(cpu_seconds() - cpu_s, 3)
            if node.stage.gives == "dataset":
                # Now more is known than the configuration could tell.
                skipped = check_fit(resolved, facts_of(node.folder / "dataset"), names)
        done.append(StageRun(name, node.id, node.folder, "ran" if why else "cached", why or "", cpu_s, _metrics(node)))
    folder = root / ident
    try:
        exports = _write_run(folder, resolved, nodes, ident, skipped)
        seed = resolved.fleet.fleet.seed if resolved.fleet else None
        write_provenance(folder, provenance(started, ident, seed, [_brief(s) for s in done], _hashes(resolved, nodes)))
    except OSError as error:
        raise explain_os_error(error, folder) from error
    return ExperimentResult(folder, ident, tuple(done), exports)


def _need_inputs(nodes: Mapping[str, _Node], node: _Node) -> None:
    for name, other in nodes.items():
        if other.stage.gives in node.inputs:
            why = find_damage(other.folder, other.id)
            if why:
                raise DataError(
                    f"--only {node.name}: needs {other.folder} of stage {name}, which is {why}; run without --only"
                )


def _run_stage(node: _Node, resolved: ResolvedExperiment, skipped: Mapping[str, str], jobs: int | None,
               watch: Watch | None) -> None:  # fmt: skip
    """Make the output of a stage in a staging folder that replaces ``node.folder`` when it is whole."""
    plan = {"stage": node.name, "id": node.id}
    with staged(node.folder, plan, overwrite=True) as stage:

        def progress(done: int, total: int) -> None:
            if watch:
                watch(node.name, done, total)

        left = {STAGES[name].gives for name in skipped}
        inputs = {name: path for name, path in node.inputs.items() if name not in left}
        metrics = node.stage.run(Work(stage.folder, resolved, inputs, node.ids, jobs, progress, skipped))
        write_json(stage.folder / "metrics.json", metrics)
        write_yaml(stage.folder / "config.resolved.yaml", node.config)
        paths = sorted(p for p in stage.folder.rglob("*") if p.is_file() and p != stage.folder / PLAN_NAME)
        files = [
            {"path": p.relative_to(stage.folder).as_posix(), "bytes": p.stat().st_size, "sha256": hash_file(p)}
            for p in paths
        ]
        record = {**plan, "format": FORMAT, "inputs": node.ids, "config_hash": hash_value(node.config),
                  "code_hash": stage_code(node.stage), "files": files}  # fmt: skip
        write_json(stage.folder / MANIFEST_NAME, record | {_SELF_HASH: hash_value(record)})


def _metrics(node: _Node) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((node.folder / "metrics.json").read_text(encoding="utf-8"))
    return found


def _brief(stage: StageRun) -> dict[str, Any]:
    return {"name": stage.name, "id": stage.id, "state": stage.state, "why": stage.why, "cpu_s": stage.cpu_s}


def _write_run(folder: Path, resolved: ResolvedExperiment, nodes: Mapping[str, _Node], ident: str,
               skipped: Mapping[str, str]) -> tuple[Path, ...]:  # fmt: skip
    """Write the folder of a run from what its stages left; stages that were never made are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {name: node for name, node in nodes.items() if (node.folder / MANIFEST_NAME).is_file()}
    write_yaml(folder / CONFIG_NAME, resolved.experiment.model_dump(mode="json"))
    write_resolved(folder, resolved)
    write_json(folder / METRICS_NAME, {name: _metrics(node) for name, node in there.items()})
    exports = []
    for node in there.values():
        for name in node.stage.exports:
            if not (node.folder / name).is_file():
                continue
            write_durably(folder / name, (node.folder / name).read_bytes())
            exports.append(folder / name)
    stages = {name: {"id": n.id, "folder": os.path.relpath(n.folder, folder)} for name, n in nodes.items()}
    for name, why in skipped.items():
        stages[name]["skipped"] = why
    record = {"format": RUN_FORMAT, "run_id": ident, "name": resolved.experiment.name, "stages": stages}
    write_json(folder / MANIFEST_NAME, record)
    return tuple(exports)


def _hashes(resolved: ResolvedExperiment, nodes: Mapping[str, _Node]) -> dict[str, Any]:
    """What went into a run: its configuration, by stage and as a whole, and what was read from outside."""
    by_stage = {name: {"config": hash_value(n.config), "code": stage_code(n.stage), "inputs": n.ids}
                for name, n in nodes.items()}  # fmt: skip
    inputs: dict[str, str] = {}
    if resolved.experiment.dataset is not None:
        inputs["dataset"] = hash_file(Path(resolved.experiment.dataset) / MANIFEST_NAME)
    part = resolved.parts.get("ingest")
    if isinstance(part, IngestPart):
        inputs |= dict(zip(part.files, (digest for _, digest in ingest_inputs(part)), strict=True))
    whole = hash_value({name: stage["config"] for name, stage in by_stage.items()})
    return {"config_hash": whole, "inputs": inputs, "stage_hashes": by_stage}
