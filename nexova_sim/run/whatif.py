"""``nexova twin whatif``: the tracked twin of a machine, branched at a time into several actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from nexova_sim.analyse.remaining import stack_parameters
from nexova_sim.base.errors import DataError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.config.track import TrackConfig
from nexova_sim.config.whatif import ACTIONS, Action, WhatIfConfig
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time
from nexova_sim.dataset.stage import is_same, staged, write_durably
from nexova_sim.dataset.write import file_entry
from nexova_sim.kernels.particles import HOURS_PER_WEEK, N_PARTICLE, Future
from nexova_sim.prognose.hours import HOUR_MS, Hours, make_hours
from nexova_sim.prognose.outlook import Outlook, look_ahead
from nexova_sim.prognose.track import Plate, machine_key, track_one, untold
from nexova_sim.prognose.whatif import Actions, Cases, Outcomes, Stakes, branch, draw_particles, judge
from nexova_sim.run.plates import read_plates
from nexova_sim.run.records import read_result
from nexova_sim.run.track import seen_hash
from nexova_sim.schema.channels import COMPONENTS
from nexova_sim.schema.manifest import MANIFEST_NAME

FORMAT = "nexova-whatif"
ROOMS = ("base", "config", "kernels", "schema", "dataset", "analyse", "prognose", "run")
LEAST_HOURS = 6  # before a moment; the cloud is mostly what the plate says then
PARTS = ("energy_usd", "action_usd", "failure_usd", "wear_usd")
_Z95 = 1.959964


class Moment(NamedTuple):
    """A machine at a time, milliseconds since 1970; the readings before its hour are known."""

    machine_id: str
    time_ms: int


class Situations(NamedTuple):
    """Moments and what is known of them: ``cases`` and ``particles`` (s, n, N_PARTICLE) for ``prognose.whatif``."""

    moments: tuple[Moment, ...]
    actions: tuple[str, ...]
    cases: Cases
    particles: np.ndarray


class Choice(NamedTuple):
    """The question: which machine, when, under which actions, and the load while running (None = as in its past)."""

    machine_id: str
    at: str
    actions: tuple[Action, ...] = ACTIONS
    load_frac: float | None = None


class WhatIfResult(NamedTuple):
    """What a question left: its folder and the content of whatif.json."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    was_there: bool


def component_bits(names: Sequence[str]) -> int:
    """Bits of components as the kernels take them."""
    return sum(1 << COMPONENTS.index(name) for name in dict.fromkeys(names))


def situations(dataset: Dataset, moments: Sequence[Moment], track: TrackConfig, config: WhatIfConfig,
               actions: Sequence[Action] = ACTIONS,
               progress: Callable[[int, int], None] = lambda _done, _total: None) -> Situations:  # fmt: skip
    """Follow every machine up to its moments and set out what may be done there; machines are followed once.

    Nothing from after a moment is used. Raises DataError for an unknown machine, a moment outside the data, or one with
    fewer than six hours of readings before it.
    """
    names = list(dict.fromkeys(m.machine_id for m in moments))
    plates = {p.machine_id: p for p in read_plates(dataset, track.kind_folder, names)}
    hours = make_hours(dataset, {name: p.kind for name, p in plates.items()}, track.ambient_c, names)
    at_hour = [_hour(hours, m) for m in moments]
    clouds = _clouds(hours, plates, moments, at_hour, track, progress)
    place = {name: n for n, name in enumerate(hours.machine_ids)}
    looks = [
        look_ahead(hours, place[m.machine_id], h, plates[m.machine_id].kind.nominal_load_frac)
        for m, h in zip(moments, at_hour, strict=True)
    ]
    own = [plates[m.machine_id] for m in moments]
    cases = Cases(
        stack_parameters([nominal_parameters(p.kind, track.physics) for p in own]),
        _future(looks, moments),
        _actions(own, actions, config),
        _stakes(own, config),
    )
    particles = np.array([draw_particles(cloud, config.n_futures) for cloud in clouds])
    return Situations(tuple(moments), tuple(actions), cases, particles.reshape(len(own), config.n_futures, N_PARTICLE))


def _hour(hours: Hours, moment: Moment) -> int:
    """Number of the hour in which a moment lies."""
    n_hours = hours.given.shape[1]
    at = int((moment.time_ms - hours.start_ms) // HOUR_MS)
    if n_hours < LEAST_HOURS:
        raise DataError(
            f"machine {moment.machine_id}: the dataset spans {n_hours} h, and {LEAST_HOURS} h of readings are needed "
            "before a moment"
        )
    if not LEAST_HOURS <= at <= n_hours:
        first, last = (_clock(hours.start_ms + h * HOUR_MS) for h in (LEAST_HOURS, n_hours))
        raise DataError(
            f"machine {moment.machine_id} at {_clock(moment.time_ms)}: the dataset knows its state from {first} "
            f"(six hours after its start) to {last}; choose a time in between"
        )
    return at


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000.0, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _clouds(hours: Hours, plates: dict[str, Plate], moments: Sequence[Moment], at_hour: Sequence[int],
            track: TrackConfig, progress: Callable[[int, int], None]) -> list[np.ndarray]:  # fmt: skip
    """The cloud at every moment, in their order."""
    place = {name: n for n, name in enumerate(hours.machine_ids)}
    wanted: dict[str, list[int]] = {}
    for moment, at in zip(moments, at_hour, strict=True):
        wanted.setdefault(moment.machine_id, []).append(at)
    found: dict[tuple[str, int], np.ndarray] = {}
    for number, (name, times) in enumerate(wanted.items()):
        kept = np.unique(times).astype(np.int64)
        given = hours.given[place[name]][: int(kept[-1])]
        reason = untold(given, LEAST_HOURS)
        if reason is not None:
            raise DataError(
                f"machine {name}: too few readings before {_clock(hours.start_ms)} + {kept[-1]} h: {reason}"
            )
        done = track_one(given, plates[name], track, kept)
        found |= {(name, int(h)): cloud for h, cloud in zip(kept, done.clouds, strict=True)}
        progress(number + 1, len(wanted))
    return [found[m.machine_id, at] for m, at in zip(moments, at_hour, strict=True)]


def _future(looks: Sequence[Outlook], moments: Sequence[Moment]) -> Future:
    """Chance is named by machine and time, so that a moment's futures do not depend on the other moments."""
    keys = [machine_key(f"{m.machine_id} {m.time_ms}") for m in moments]
    return Future(
        np.array([k.week_load for k in looks]).reshape(-1, HOURS_PER_WEEK),
        np.array([k.ambient_c for k in looks]).reshape(-1, HOURS_PER_WEEK),
        np.array([k.start_hour for k in looks], np.int64),
        np.array([k.variation for k in looks]),
        np.array([k.memory for k in looks]),
        np.array(keys, np.uint64),
    )


def _actions(plates: Sequence[Plate], actions: Sequence[Action], config: WhatIfConfig) -> Actions:
    shape = (len(plates), len(actions))
    stop, price, loss = np.zeros(shape), np.zeros(shape), np.ones(shape)
    restores = np.zeros(shape, np.int64)
    for a, action in enumerate(actions):
        if action == "OFFLINE":
            stop[:, a] = config.offline_h
        elif action == "MAINTENANCE":
            stop[:, a] = [p.kind.costs.planned_h for p in plates]
            price[:, a] = [p.kind.costs.planned_usd for p in plates]
            restores[:, a] = component_bits(config.maintenance_restores)
            loss[:, a] = config.planned_loss_frac
    return Actions(stop, price, restores, loss, np.ones(shape))


def _stakes(plates: Sequence[Plate], config: WhatIfConfig) -> Stakes:
    n = len(plates)
    costs = [p.kind.costs for p in plates]
    return Stakes(
        np.full((n, HOURS_PER_WEEK), config.price_usd_per_kwh),
        np.array([c.lost_production_usd_per_h for c in costs]),
        np.array([c.failure_usd for c in costs]),
        config.wear_value_frac * np.array([c.planned_usd for c in costs]),
        np.full(n, config.fatigue_per_lost_cooling_h),
        np.full(n, config.fault_end_per_h),
        np.full(n, config.cooling_end_per_h),
    )


def what_if(source: str | Path, choice: Choice, track: TrackConfig, config: WhatIfConfig, out: Path | None = None,
            overwrite: bool = False) -> WhatIfResult:  # fmt: skip
    """Branch one machine at one time; cost and probability of failure per action with intervals, into a run folder.

    NONE is always among the actions, because the others are compared with it. Raises DataError for an unknown machine
    or a time outside the data.
    """
    dataset = open_dataset(source)
    choice = choice._replace(actions=tuple(dict.fromkeys(["NONE", *choice.actions])))
    config_hash, code = question_hash(dataset, choice, track, config), code_hash(*ROOMS)
    ident = run_id(config_hash, code)
    folder = out or Path("results") / "whatif" / dataset.manifest.name / ident
    if not overwrite and is_same(folder, config_hash, code):
        return WhatIfResult(folder, ident, read_answer(folder), True)
    moment = Moment(choice.machine_id, parse_time(choice.at, "--at"))
    known = with_load(situations(dataset, [moment], track, config, choice.actions), choice.load_frac)
    summary = answer(known, branch(known.cases, known.particles, config.horizon_h, config.seed), choice, config)
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_durably(stage.folder / "whatif.json", text.encode())
        settings = {"track": track.model_dump(mode="json"), "whatif": config.model_dump(mode="json")}
        write_durably(stage.folder / "config.resolved.yaml", yaml.safe_dump(settings, sort_keys=False).encode())
        files = [file_entry(stage, name, 0).model_dump() for name in ("whatif.json", "config.resolved.yaml")]
        manifest = {"format": FORMAT, "config_hash": config_hash, "code_hash": code, "files": files}
        write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return WhatIfResult(folder, ident, summary, False)


def question_hash(dataset: Dataset, choice: Choice, track: TrackConfig, config: WhatIfConfig) -> str:
    """Hash of everything an answer depends on besides code."""
    plates = read_plates(dataset, track.kind_folder, [choice.machine_id])
    parts = [choice._asdict(), track.model_dump(mode="json"), config.model_dump(mode="json"), seen_hash(dataset)]
    return hash_value([*parts, plates[0].kind.model_dump(mode="json")])


def with_load(known: Situations, load_frac: float | None) -> Situations:
    """The same situations with another load in every hour that has load planned; None = unchanged."""
    if load_frac is None:
        return known
    future = known.cases.future
    changed = future._replace(week_load=np.where(future.week_load > 0.0, load_frac, 0.0))
    return known._replace(cases=known.cases._replace(future=changed))


def answer(known: Situations, outcomes: Outcomes, choice: Choice, config: WhatIfConfig) -> dict[str, Any]:
    """JSON-like account of the first situation: per action cost, its interval and parts, p(failure), against NONE."""
    verdict, cost = judge(outcomes), outcomes.cost_usd[0]
    p_se = outcomes.p_failure[0].std(axis=1, ddof=1) / np.sqrt(cost.shape[1])
    rows = []
    for a, name in enumerate(known.actions):
        low, high = np.quantile(cost[a], (0.05, 0.95)).tolist()
        mean, extra, p = (float(v[0, a]) for v in (verdict.cost_usd, verdict.extra_usd, verdict.p_failure))
        parts = outcomes.parts_usd[0, a].mean(axis=0).tolist()
        rows.append({
            "action": name,
            "cost_usd": round(mean, 2),
            "cost_interval_usd": _interval(mean, float(verdict.cost_se_usd[0, a])),
            "cost_p05_usd": round(low, 2),
            "cost_p95_usd": round(high, 2),
            "p_failure": round(p, 6),
            "p_failure_interval": [min(1.0, max(0.0, round(v, 6))) for v in (p - _Z95 * p_se[a], p + _Z95 * p_se[a])],
            "extra_usd": round(extra, 2),
            "extra_interval_usd": _interval(extra, float(verdict.extra_se_usd[0, a])),
            "parts": {part: round(value, 2) for part, value in zip(PARTS, parts, strict=True)},
        })  # fmt: skip
    best = min(rows, key=lambda r: r["cost_usd"])
    return {
        "machine_id": choice.machine_id,
        "at": _clock(known.moments[0].time_ms // HOUR_MS * HOUR_MS),
        "horizon_h": config.horizon_h,
        "n_futures": config.n_futures,
        "load_frac": choice.load_frac,
        "best": best["action"],
        "actions": rows,
    }


def _interval(mean: float, se: float) -> list[float]:
    return [round(mean - _Z95 * se, 2), round(mean + _Z95 * se, 2)]


def read_answer(folder: Path) -> dict[str, Any]:
    """whatif.json of a folder; DataError when it is damaged."""
    return read_result(folder, "whatif.json")


def outline(source: str | Path, choice: Choice, track: TrackConfig, config: WhatIfConfig,
            out: Path | None = None) -> dict[str, Any]:  # fmt: skip
    """What an answer would take, without making it."""
    dataset = open_dataset(source)
    ident = run_id(question_hash(dataset, choice, track, config), code_hash(*ROOMS))
    return {
        "folder": str(out or Path("results") / "whatif" / dataset.manifest.name / ident),
        "machine_id": choice.machine_id,
        "at": _clock(parse_time(choice.at, "--at")),
        "actions": list(choice.actions),
        "horizon_h": config.horizon_h,
        "n_futures": config.n_futures,
    }
