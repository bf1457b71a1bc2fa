"""``nexova energy explain``: why a machine of a plan runs or stands at a time, and what the opposite would cost."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.plan import ResolvedPlan
from nexova_sim.kernels.energy import SHIFT_STEPS, STEP_H, STEPS, Days, Site
from nexova_sim.kernels.energy_context import context_shifts
from nexova_sim.run.energy_plan import FORMAT, MODEL, REPLAY, cost_row, plan
from nexova_sim.run.plan_usual import HOUR_MS, zone_of
from nexova_sim.run.plan_words import reason
from nexova_sim.schedule.context import Context
from nexova_sim.schedule.controllers import FIXED, Bids, Controller
from nexova_sim.schedule.explain import Thought, think
from nexova_sim.schedule.modelfile import load_model, make_controller
from nexova_sim.schedule.refine import Refined
from nexova_sim.schedule.shared import Shared
from nexova_sim.schedule.site import make_site
from nexova_sim.schedule.tomorrow import Outlook, make_day
from nexova_sim.schedule.trace import Force, Trace, batch_at, trace_day
from nexova_sim.schema.manifest import MANIFEST_NAME

_STEP_MS = int(STEP_H * HOUR_MS)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_FORCED_LOAD = 0.8  # of a controller that has no efficient load of its own


class Replay(NamedTuple):
    """A plan that can be played again: its controller, site, day, machine names and when it begins."""

    folder: Path
    name: str
    controller: Controller
    site: Site
    day: Days
    machines: tuple[str, ...]
    start_ms: int
    timezone: str


def open_replay(folder: Path) -> Replay:
    """The plan in ``folder``, ready to be played again; DataError when it is damaged."""
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))
        hashes = {f["path"]: f["sha256"] for f in manifest["files"]}
        raw = json.loads((folder / REPLAY).read_text(encoding="utf-8"))
        changed = [name for name, digest in hashes.items() if hash_file(folder / name) != digest]
        if changed:
            raise DataError(f"{folder}: {changed[0]} was changed after it was written; plan again with --overwrite")
        config = SiteConfig.model_validate(raw["site"])
        outlook = Outlook(**{key: np.array(raw["outlook"][key]) for key in Outlook._fields})
        outlook = outlook._replace(level=outlook.level.astype(np.int8))
        name, machines = str(raw["controller"]), tuple(str(m) for m in raw["machines"])
        start_ms, timezone = int(raw["start_ms"]), str(raw["timezone"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ValidationError) as error:
        raise DataError(f"{folder}: the plan is damaged ({error}); make it again with 'nexova energy plan'") from error
    site = make_site(config)
    path = folder / MODEL
    controller = FIXED[name]() if name in FIXED else make_controller(load_model(path), config, path)
    return Replay(folder, name, controller, site, make_day(site, outlook), machines, start_ms, timezone)


def find_plan(source: Path, resolved: ResolvedPlan, model: str | None = None) -> Path:
    """``source`` when it is a plan; else the plan of the dataset ``source``, made now when it is not there."""
    try:
        manifest = json.loads((source / MANIFEST_NAME).read_text(encoding="utf-8"))
        is_plan = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    except (OSError, ValueError, RecursionError):
        is_plan = False
    if is_plan:
        if model is not None:
            raise ConfigError(f"--model: {source} is a plan already and keeps its controller; give the dataset instead")
        return source
    return plan(source, resolved, model).folder


def step_of(replay: Replay, time: str) -> int:
    """The step of the day in which ``time`` lies: HH:MM on the clock of the factory, or a moment with its zone."""
    zone = zone_of(replay.timezone)
    start = datetime.fromtimestamp(replay.start_ms / 1000.0, UTC).astimezone(zone)
    end = datetime.fromtimestamp((replay.start_ms + STEPS * _STEP_MS) / 1000.0, UTC).astimezone(zone)
    span = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} {replay.timezone}"
    found = _CLOCK.fullmatch(time.strip())
    if found:
        minutes = 60 * int(found[1]) + int(found[2]) - (60 * start.hour + start.minute)
        return (minutes % (24 * 60)) // round(60 * STEP_H)
    try:
        moment = datetime.fromisoformat(time.strip())
        moment = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
        step = (int(moment.timestamp() * 1000) - replay.start_ms) // _STEP_MS
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError(f"--time {time!r}: is no time; write 16:15 or 2026-01-05T16:15") from error
    if not 0 <= step < STEPS:
        raise ConfigError(f"--time {time}: outside the plan, which is for {span}")
    return step


def explain(source: str | Path, resolved: ResolvedPlan, machine: str, time: str, hours: float = 1.0,
            model: str | None = None) -> dict[str, Any]:  # fmt: skip
    """Why ``machine`` runs or stands at ``time``: its bid, the admission, and a replay with the opposite forced.

    The opposite is forced for ``hours``; the controller then reacts for the rest of the day. Raises ConfigError for an
    unknown machine or a time outside the plan, DataError for a damaged plan.
    """
    if not STEP_H <= hours <= 24.0:
        raise ConfigError(f"--hours {hours:g}: must be from {STEP_H:g} to 24")
    replay = open_replay(find_plan(Path(source), resolved, model))
    if machine not in replay.machines:
        raise ConfigError(f"--machine {machine}: is not in the plan; {suggest(machine, replay.machines)}", got=machine)
    j, k = replay.machines.index(machine), step_of(replay, time)
    thought = _thought(replay, k)
    planned = trace_day(replay.controller, replay.site, replay.day)
    forced = _forced(replay, thought, planned, (j, k, max(1, round(hours / STEP_H))))
    wanted, ran = float(planned.wanted[k, j]), float(planned.load_frac[k, j])
    told: dict[str, Any] = {
        "plan": str(replay.folder),
        "controller": replay.name,
        "machine_id": machine,
        "time_ms": replay.start_ms + k * _STEP_MS,
        "shift": k // SHIFT_STEPS + 1,
        "is_on": ran > 0.0,
        "load_frac": round(ran, 4),
        "wanted_frac": round(wanted, 4),
        "power_kw": round(float(planned.power_kw[k, j]), 3),
        "temp_c": round(float(replay.day.start[0, j, 0] if k == 0 else planned.temp_c[k - 1, j]), 2),
        "price_usd_per_kwh": round(float(replay.day.profile[k, 0, 0]), 5),
    }
    if thought is not None:
        told |= _told(replay, thought, j)
    told["why"] = reason(replay.name, thought, j, (wanted, ran), planned.stock_h[k, j])
    return told | {"counterfactual": forced}


def _thought(replay: Replay, k: int) -> Thought | None:
    """What the scheduler thinks before step ``k``; None for a controller that makes no bids."""
    own, site, day = replay.controller, replay.site, replay.day
    if not isinstance(own, Bids | Refined | Context | Shared):
        return None
    batch, memory = batch_at(own, site, day, k)
    shifts: np.ndarray | None = None
    if not isinstance(own, Bids):
        # Its memory is what its policy last moved the bids by; asking for the loads brings it up to this step.
        shifts = own.loads(batch, memory)[1][:, 0]
    if isinstance(own, Shared) and own.weights is not None:
        below = np.zeros((4 * len(site.rated_kw) + 1, 1))
        context_shifts(site, day, batch.state, k, own.weights, below)
        shifts = below[:, 0] if shifts is None else shifts + below[:, 0]
    return think(batch, own.params, shifts)


def _told(replay: Replay, thought: Thought, j: int) -> dict[str, Any]:
    """The bid of machine ``j``, the cap and the admission as plain rows."""
    bid = {key: round(v, 5) if isinstance(v, float) else v for key, v in thought.bids[j]._asdict().items()}
    rows = [
        {"place": n + 1, "machine_id": replay.machines[a.j], "urgency": round(a.urgency, 4),
         "asked_frac": round(a.asked_frac, 4), "asked_kw": round(a.asked_kw, 2), "room_kw": round(a.room_kw, 2),
         "granted_frac": round(a.granted_frac, 4), "granted_kw": round(a.granted_kw, 2)}
        for n, a in enumerate(thought.order)
    ]  # fmt: skip
    cap = {"cap_kw": round(thought.cap_kw, 2), "peak_so_far_kw": round(thought.peak_kw, 2),
           "planned_cap_kw": round(thought.planned_cap_kw, 2), "base_kw": round(thought.base_kw, 2)}  # fmt: skip
    return {"bid": bid, "cap": cap, "admission": rows}


def _forced(replay: Replay, thought: Thought | None, planned: Trace, where: tuple[int, int, int]) -> dict[str, Any]:
    """The rest of the day with the opposite forced: what it costs more (+) or less (-), by part."""
    j, k, n = where
    is_on = bool(planned.load_frac[k, j] > 0.0)
    load = 0.0 if is_on else (_FORCED_LOAD if thought is None else thought.bids[j].efficient_frac)
    other = trace_day(replay.controller, replay.site, replay.day, Force(j, k, min(k + n, STEPS), load))
    before, after = cost_row(planned), cost_row(other)
    parts = {key: round(after[key] - before[key], 4) for key in before if key.endswith("_usd")}
    took = other.load_frac[k : min(k + n, STEPS), j]
    return {
        "forced_frac": round(load, 4),
        "hours": round(min(n, STEPS - k) * STEP_H, 2),
        "was_possible": bool(((took > 0.0) != is_on).any()),
        "difference_usd": parts,
        "peak_kw": {"planned": before["peak_kw"], "forced": after["peak_kw"]},
        "trips": other.n_trips - planned.n_trips,
        "hours_on": {"planned": float((planned.load_frac[:, j] > 0.0).sum() * STEP_H),
                     "forced": float((other.load_frac[:, j] > 0.0).sum() * STEP_H)},
    }  # fmt: skip
