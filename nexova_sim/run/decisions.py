"""``nexova decisions replay``: alert episodes -> contexts -> decisions -> gate -> judge -> table, ledger, audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import yaml

from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.decision import DecisionConfig, ResolvedDecision
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.dataset.write import file_entry, write_table
from nexova_sim.decide.asking import ask_model
from nexova_sim.decide.context import Context, build_contexts
from nexova_sim.decide.counterfactual import expect
from nexova_sim.decide.estimate import believe
from nexova_sim.decide.player import Player
from nexova_sim.decide.policy import ASKING, Means, Outlook, Verdict, check_policy, make_policy
from nexova_sim.run.decision_episodes import find_episodes
from nexova_sim.run.decision_judge import Findings, find
from nexova_sim.run.decision_loop import ledger_row, run_loop
from nexova_sim.run.decision_models import model_name, player_for
from nexova_sim.run.decision_table import Taken, audit_entries, audit_text, decision_rows, take
from nexova_sim.run.decision_twin import Laboratory, offer_of, open_laboratory, plates, terms_of
from nexova_sim.run.records import read_result
from nexova_sim.schema.manifest import MANIFEST_NAME

Progress = Callable[[int, int], None]
FORMAT = "nexova-decision-run"
TABLE, SUMMARY, AUDIT = "decisions.parquet", "summary.json", "audit.jsonl"
ROOMS = ("base", "config", "kernels", "schema", "simulate", "dataset", "alert", "approve", "decide", "run")


class Replay(NamedTuple):
    """What is replayed: policies, whether the judge scores them, a cassette and how it is used."""

    policies: tuple[str, ...] = ("seed_rules",)
    is_judged: bool = True
    cassette: Path | None = None
    mode: str = "replay"
    loops: bool = False


class DecisionsResult(NamedTuple):
    """What a replay left behind."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    was_there: bool


class Scene(NamedTuple):
    """The episodes of a dataset with their contexts, and the laboratory when the dataset was simulated."""

    dataset: Dataset
    contexts: list[Context]
    lab: Laboratory | None
    found: Findings | None


def set_scene(dataset: Dataset, resolved: ResolvedDecision, is_judged: bool) -> Scene:
    """Episodes, contexts and, for a simulated dataset, the judge's findings."""
    config = resolved.decision
    lab = open_laboratory(dataset) if is_judged else None
    episodes = find_episodes(dataset, resolved.alerts, config.episodes)
    contexts = build_contexts(dataset, episodes, terms_of(config))
    return Scene(dataset, contexts, lab, find(lab, episodes, config) if lab is not None and episodes else None)


def outlooks(lab: Laboratory, contexts: Sequence[Context], config: DecisionConfig) -> dict[str, Outlook]:
    """What the twin expects in every context, by key, from states estimated from the contexts alone."""
    if not contexts:
        return {}
    episodes = [c.episode for c in contexts]
    belief = believe(contexts, plates(lab, episodes, config))
    found = expect(belief, offer_of(lab, episodes, config), config.twin.policy_futures, config.seed + 2)
    return {context.key: outlook for context, outlook in zip(contexts, found, strict=True)}


def decide_all(scene: Scene, name: str, config: DecisionConfig,
               player: Player | None = None) -> list[list[Verdict]]:  # fmt: skip
    """The verdicts of a policy, (n contexts, repeats); only a model (through ``player``) is asked more than once."""
    if player is not None:
        model, rules = config.model, config.rules
        asked = model_name(name, config)
        return [
            [ask_model(player.ask, c, asked, model.sampling_temperature, k, rules) for k in range(model.repeats)]
            for c in scene.contexts
        ]
    expect_one = None
    if check_policy(name) == "twin" and scene.lab is not None:
        known = outlooks(scene.lab, scene.contexts, config)
        expect_one = lambda context: known[context.key]  # noqa: E731
    policy = make_policy(name, Means(config.rules, config.seed, expect_one))
    return [[policy.decide(context)] for context in scene.contexts]


def run_hash(dataset: Dataset, resolved: ResolvedDecision, replay: Replay) -> str:
    """Hash of everything the bytes of a replay depend on besides code."""
    files = [[f.path, f.sha256] for f in dataset.manifest.files]
    tape = None if replay.cassette is None or not replay.cassette.is_file() else hash_file(replay.cassette)
    return hash_value(
        [resolved.model_dump(mode="json"), files, list(replay.policies), replay.is_judged, tape, replay.loops]
    )


def default_folder(dataset: Dataset, resolved: ResolvedDecision, ident: str) -> Path:
    """Where a replay goes when no ``--out`` is given."""
    return Path("results") / "decisions" / f"{resolved.decision.name}-{dataset.manifest.name}" / ident


def replay_decisions(source: str | Path, resolved: ResolvedDecision, replay: Replay, out: Path | None = None,
                     overwrite: bool = False,
                     progress: Progress = lambda _done, _total: None) -> DecisionsResult:  # fmt: skip
    """Replay the decisions of every policy on the alerts of a dataset; the folder is whole or not there.

    Raises ConfigError for an unknown policy or a dataset nobody can judge, DataError for damaged files.
    """
    for name in replay.policies:
        check_policy(name)
    dataset = open_dataset(source)
    config_hash, code = run_hash(dataset, resolved, replay), code_hash(*ROOMS)
    ident = run_id(config_hash, code)
    folder = out or default_folder(dataset, resolved, ident)
    if not overwrite and is_same(folder, config_hash, code):
        return DecisionsResult(folder, ident, read_summary(folder), True)
    scene = set_scene(dataset, resolved, replay.is_judged)
    taken: list[Taken] = []
    loops: list[dict[str, Any]] = []
    for n, name in enumerate(replay.policies):
        player = None
        if check_policy(name) in ASKING:
            player = player_for(name, resolved.decision, replay.mode, replay.cassette)
        verdicts = decide_all(scene, name, resolved.decision, player)
        if replay.loops:
            loops.append(_loop(dataset, resolved, name, player))
        if player is not None:
            player.close()
        taken += take(scene.contexts, name, verdicts, resolved.decision, scene.found)
        progress(n + 1, len(replay.policies))
    table = decision_rows(scene.contexts, taken, scene.found)
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        entries, anchor = audit_entries(scene.contexts, taken)
        summary = summarise(scene, resolved, replay, table) | {
            "audit": {"n_entries": anchor.n_entries, "head": anchor.head},
            "loop": loops,
        }
        files = [write_table(stage, TABLE, table).model_dump()]
        config_text = yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        plain = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        texts = {AUDIT: audit_text(entries), "config.resolved.yaml": config_text.encode(), SUMMARY: plain.encode()}
        _write(stage, texts, files, config_hash, code)
    return DecisionsResult(folder, ident, summary, False)


def _loop(dataset: Dataset, resolved: ResolvedDecision, name: str, player: Player | None) -> dict[str, Any]:
    """What the fleet costs when the policy's actions are carried out."""

    def decide(lab: Laboratory, contexts: list[Context]) -> list[Verdict]:
        scene = Scene(lab.dataset, contexts, lab, None)
        return [own[0] for own in decide_all(scene, name, resolved.decision, player)]

    return ledger_row(run_loop(dataset, resolved, name, decide, resolved.decision.loop.most_waves))


def _write(stage: Stage, texts: dict[str, bytes], files: list[dict[str, Any]], config_hash: str, code: str) -> None:
    for name, data in texts.items():
        write_durably(stage.folder / name, data)
        files.append(file_entry(stage, name, 0).model_dump())
    manifest = {"format": FORMAT, "config_hash": config_hash, "code_hash": code, "files": files}
    write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def summarise(scene: Scene, resolved: ResolvedDecision, replay: Replay, table: pa.Table) -> dict[str, Any]:
    """Counts and costs by policy, JSON-like."""
    rows = []
    for name in replay.policies:
        own = table.filter(pa.compute.equal(table["policy"], name))
        first = own.filter(pa.compute.equal(own["repeat"], 0))
        row: dict[str, Any] = {"policy": name, "decisions": first.num_rows}
        counts = first["action_taken"].to_pylist()
        row |= {action.lower(): counts.count(action) for action in ("NONE", "MAINTENANCE", "OFFLINE")}
        row["fallbacks"] = sum(first["is_fallback"].to_pylist())
        if scene.found is not None:
            for key in ("regret_usd", "cost_executed_usd"):
                row[f"mean_{key}"] = pa.compute.mean(first[key]).as_py()
        rows.append(row)
    return {"dataset": scene.dataset.manifest.name, "config": resolved.decision.name, "episodes": len(scene.contexts),
            "is_judged": scene.found is not None, "horizon_h": resolved.decision.twin.horizon_h,
            "policies": rows}  # fmt: skip


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary of a replay; DataError when the folder holds none."""
    return read_result(folder, SUMMARY, (FORMAT, "no decisions; give the folder that 'nexova decisions replay' wrote"))


def outline(source: str | Path, resolved: ResolvedDecision, replay: Replay, out: Path | None) -> dict[str, Any]:
    """What a replay would do, without doing it."""
    for name in replay.policies:
        check_policy(name)
    dataset = open_dataset(source)
    if replay.is_judged:
        open_laboratory(dataset)
    for name in replay.policies:
        if check_policy(name) in ASKING and replay.mode == "replay":
            player_for(name, resolved.decision, replay.mode, replay.cassette)
    ident = run_id(run_hash(dataset, resolved, replay), code_hash(*ROOMS))
    return {
        "folder": str(out or default_folder(dataset, resolved, ident)),
        "policies": list(replay.policies),
        "alerts": resolved.alerts.name,
        "horizon_h": resolved.decision.twin.horizon_h,
        "is_judged": replay.is_judged,
    }
