"""``nexova chat``: the state of a dataset's plant at its end, and a conversation about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from nexova_sim.alert.engine import NONE, collect_alerts, stream_alerts
from nexova_sim.alert.rules import compile_policy
from nexova_sim.base.errors import ConfigError
from nexova_sim.config.decision import ResolvedDecision
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time
from nexova_sim.dataset.rows import CHANNELS, runs, scan_rows
from nexova_sim.decide.chat import MachineState, Plant, begin, say
from nexova_sim.decide.context import moment
from nexova_sim.decide.policy import ASKING, check_policy
from nexova_sim.kernels.alert_tally import HIGHEST, MACHINE, RESOLVED, RULE
from nexova_sim.run.decision_models import model_name, player_for
from nexova_sim.schema.alerts import SEVERITIES
from nexova_sim.schema.channels import STATUSES

_LOOK_BACK_MS = 6 * 3_600_000


class Voice(NamedTuple):
    """Who answers: gemini or scripted, from a cassette or live."""

    policy: str = "scripted"
    mode: str = "replay"
    cassette: Path | None = None


def plant_now(dataset: Dataset, resolved: ResolvedDecision) -> Plant:
    """The plant at the end of a dataset: last readings, open alerts, total power, share of machines without alerts."""
    end_ms = parse_time(dataset.manifest.end, "end")
    begin_ms = max(parse_time(dataset.manifest.start, "start"), end_ms - _LOOK_BACK_MS)
    ids = dataset.machine_ids()
    last: dict[int, tuple[str, float | None, float | None, float | None]] = {}
    for rows in scan_rows(dataset, CHANNELS, start=moment(begin_ms)):
        for after in runs(rows)[1:]:
            n = after - 1
            power, temp, vibration = (_number(float(v)) for v in rows.values[:, n])
            last[int(rows.machine[n])] = (STATUSES[rows.status[n]], power, temp, vibration)
    alerts = _open_alerts(dataset, resolved)
    machines = []
    rows_of = {str(row["machine_id"]): row for row in dataset.read("machines").to_pylist()}
    for number, row in enumerate(rows_of[name] for name in ids):
        status, power, temp, vibration = last.get(number, ("UNKNOWN", None, None, None))
        own = alerts.get(number, ())
        risk = "CRITICAL" if any("CRITICAL" in a for a in own) else "WARNING" if own else "HEALTHY"
        machines.append(MachineState(ids[number], row["name"], row["kind"], status, power, temp, vibration, own, risk))
    total = sum(m.power_kw or 0.0 for m in machines)
    calm = sum(not m.alerts for m in machines)
    return Plant(dataset.manifest.name, moment(end_ms), tuple(machines), total, 100.0 * calm / max(1, len(machines)))


def _number(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None


def _open_alerts(dataset: Dataset, resolved: ResolvedDecision) -> dict[int, tuple[str, ...]]:
    compiled = compile_policy(resolved.alerts, dataset)
    found: dict[int, tuple[str, ...]] = {}
    alerts = collect_alerts(stream_alerts(compiled, dataset))
    for code, time in zip(alerts.code, alerts.time, strict=True):
        if time[RESOLVED] == NONE:
            text = f"{SEVERITIES[code[HIGHEST]]} {resolved.alerts.rules[code[RULE]].alert_type}"
            machine = int(code[MACHINE])
            found[machine] = (*found.get(machine, ()), text)
    return found


def chat(source: str | Path, resolved: ResolvedDecision, voice: Voice, questions: Iterable[str],
         tell: Callable[[str], None]) -> list[tuple[str, str]]:  # fmt: skip
    """Put ``questions`` one after another, each knowing those before; ``tell`` gets every answer when it is there.

    Raises CheckFailedError for a question that the cassette does not hold, ServiceError when a model does not answer.
    """
    config = resolved.decision
    if check_policy(voice.policy) not in ASKING:
        raise ConfigError(f"--voice {voice.policy[:40]}: only a model can talk; choose one of: {', '.join(ASKING)}")
    player = player_for(voice.policy, config, voice.mode, voice.cassette)
    talk = begin(plant_now(open_dataset(source), resolved))
    model, said = model_name(voice.policy, config), []
    for text in questions:
        if text.strip():
            talk, answer = say(talk, text.strip(), model, config.model.sampling_temperature, player.ask)
            tell(answer)
            said.append((text.strip(), answer))
    player.close()
    return said
