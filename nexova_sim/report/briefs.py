"""What a stage found, in a sentence or two for the overview, from the summary the stage left."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nexova_sim.base.errors import DataError
from nexova_sim.report.words import number, percent


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _alerts(folder: Path) -> str:
    kpi = _read(folder / "kpi.json")
    text = f"{number(kpi['alerts'])} alerts, {number(kpi['open'])} open at the end; " \
           f"{number(kpi['per_operator_hour'], 2)} announcements per operator and hour."  # fmt: skip
    missed = sum(not met for o in kpi["operators"] for met in o["is_met"].values())
    return f"{text} {'All published targets are met.' if not missed else f'{missed} published targets are missed.'}"


def _approvals(folder: Path) -> str:
    found = _read(folder / "summary.json")
    outcomes = found["outcomes"]
    text = f"{number(found['requests'])} requests, {number(outcomes['APPROVED'])} approved, " \
           f"{number(outcomes['PENDING'])} still open."  # fmt: skip
    lead = found["lead_median_h"]
    return text if lead is None else f"{text} Half of the decisions came within {number(lead, 1)} h."


def _twin(folder: Path) -> str:
    found = _read(folder / "summary.json")
    if not found["machines"]:
        return "No machine could be followed."
    worst = min(found["machines"], key=lambda m: float(m["health_mean"]))
    n_critical = sum(m["risk_class"] == "CRITICAL" for m in found["machines"])
    health = f"{number(worst['health_p05'])} to {number(worst['health_p95'])} %"
    return f"{number(found['n_machines'])} machines followed, {n_critical} believed critical; worst is " \
           f"{worst['machine_id']}, health {health}."  # fmt: skip


def _rul(folder: Path) -> str:
    found = _read(folder / "predict" / "predict.json")
    if not found["machines"]:
        return "No machine's life could be foretold."
    first = found["machines"][0]
    cost = first["cost_of_waiting_usd"]
    text = f"First to see to: {first['machine_id']}, {percent(first['p_fail'])} % to fail within " \
           f"{number(found['horizon_h'])} h"  # fmt: skip
    return f"{text}." if cost is None else f"{text}, {number(cost)} $ if left alone."


def _anomaly(folder: Path) -> str:
    about = _read(folder / "manifest.json")
    text = f"{number(about['n_alarms'])} alarms in {number(about['machine_days'])} machine-days."
    path = folder / "evaluation.json"
    if not path.is_file():
        return text
    row = _read(path)["detector"]
    hits, true = row["event_recall"], row["precision"]
    return f"{text} Judged by labels: {hits['k']:.0f} of {hits['n']:.0f} faults found, " \
           f"{true['k']:.0f} of {true['n']:.0f} alarms true."  # fmt: skip


def _forecast(folder: Path) -> str:
    found = _read(folder / "predict" / "predict.json")
    sites = [s for s in found["series"] if s["level"] == "factory" and s["week_kwh"] is not None]
    total = sum(float(s["week_kwh"]) for s in sites)
    return f"{number(total / 1000.0, 1)} MWh expected in the next {number(found['horizon_h'])} h at {len(sites)} sites."


def _energy(folder: Path) -> str:
    found = _read(folder / "opportunities" / "opportunities.json")
    text = f"{number(found['n_opportunities'])} ways to save, {number(found['saving_usd_per_year'])} $ a year by " \
           "estimate."  # fmt: skip
    path = folder / "plan" / "schedule.json"
    if not path.is_file():
        return text
    scenarios = _read(path)["scenarios"]
    saved = scenarios["saving"].get("bau")
    if saved is None:
        return text
    return (
        f"{text} Tomorrow's schedule saves {number(saved['mean_usd'])} $ on business as usual, the mean of "
        f"{scenarios['n_days']} days that tomorrow may be."
    )


def _decisions(folder: Path) -> str:
    found = _read(folder / "summary.json")
    text = f"{number(found['episodes'])} questions to {len(found['policies'])} policies."
    judged = [p for p in found["policies"] if p.get("mean_regret_usd") is not None]
    if not judged:
        return text
    best = min(judged, key=lambda p: float(p["mean_regret_usd"]))
    return f"{text} Least regret: {best['policy']}, {number(best['mean_regret_usd'])} $ a decision."


BRIEFS: Mapping[str, Callable[[Path], str]] = MappingProxyType(
    {
        "alerts": _alerts,
        "approvals": _approvals,
        "twin": _twin,
        "rul": _rul,
        "anomaly": _anomaly,
        "forecast": _forecast,
        "energy": _energy,
        "decisions": _decisions,
    }
)


def brief(name: str, folder: Path) -> str:
    """The finding of stage ``name`` in words; nothing for a stage that has none. DataError when it is damaged."""
    if name not in BRIEFS:
        return ""
    try:
        return BRIEFS[name](folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder}: the results are damaged ({error}); run the stage {name!r} again") from error
