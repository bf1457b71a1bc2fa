"""The energy chapter: savings, tomorrow's schedule and its price, how controllers compare, how they learned."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.energy_figures import CSS, Line, day_lines, gantt, learning, stacked
from nexova_sim.report.words import environment

PARTS = ("energy", "demand", "start", "wear", "shortage")
COLORS = ("--series0", "--series4", "--series2", "--series1", "--series3")
NAMES: Mapping[str, str] = {
    "bau": "business as usual",
    "flat": "even pace",
    "tou": "time of use",
    "rule": "tuned rule",
    "bids": "bid scheduler",
    "fitted": "fitted bid scheduler",
    "context": "bid scheduler + linear policy",
    "ppo": "bid scheduler + PPO",
    "sac": "bid scheduler + SAC",
    "ppo_alone": "PPO alone",
    "sac_alone": "SAC alone",
    "ppo_tuned": "PPO, tuned again",
    "mpc": "model predictive control",
    "lookahead": "look-ahead on the twin",
    "perfect": "perfect information",
}
_MOST_FOUND, _MOST_CURVES = 20, 10
_TYPES = {"OVERSIZING": "oversized", "THERMAL_STRESS": "too hot", "PEAK_SHIFTING": "peak use"}
_SOME_USD = 0.005
_LEARNED = ("bids", "context", "ppo", "ppo_tuned", "ppo_alone", "sac")


class Bars(NamedTuple):
    """A row of a cost chart: name, total, cost by part, and the bar itself."""

    name: str
    total_usd: float
    parts: tuple[float, ...]
    bar: Markup


def name_of(controller: str) -> str:
    """A controller's name in words; an unknown one as it is."""
    return NAMES.get(controller, controller)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def cost_bars(rows: Sequence[tuple[str, Sequence[float]]]) -> list[Bars]:
    """Stacked bars of cost splits (parts in the order of PARTS) on one scale; a negative part takes no length."""
    top = max((sum(max(0.0, v) for v in split) for _, split in rows), default=0.0)
    return [
        Bars(name, sum(split), tuple(split), stacked(split, COLORS, top, f"Cost of {name}")) for name, split in rows
    ]


def _plan_page(plan: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of a schedule."""
    own = plan["controller"]
    start = datetime.fromtimestamp(plan["start_ms"] / 1000.0, UTC).astimezone(ZoneInfo(plan["timezone"]))
    lines = [Line(plan["total_kw"][own], "--series0", is_dashed=False)]
    if "bau" in plan["total_kw"] and own != "bau":
        lines.append(Line(plan["total_kw"]["bau"], "--muted", is_dashed=True))
    price = Line(plan["hours"]["price_usd_per_kwh"], "--series4", is_dashed=False)
    rows = [
        {**m, "bar": gantt(load, f"Load of {m['machine_id']} over the day")}
        for m, load in zip(plan["machines"], plan["load_frac"], strict=True)
    ]
    costs = [(name_of(n), [row[f"{p}_usd"] for p in PARTS]) for n, row in plan["costs"].items()]
    saving = {name_of(n): v for n, v in plan["scenarios"]["saving"].items()}
    return {
        "rows": rows,
        "power": day_lines(lines, "Power of the site over the day"),
        "price": day_lines([price], "Price of energy over the day"),
        "start": f"{start:%Y-%m-%d %H:%M}",
        "clock": [f"{(start.hour + h) % 24:02d}:{start.minute:02d}" for h in (0, 4, 8, 12, 16, 20, 24)],
        "costs": cost_bars(costs),
        "saving": saving,
        "own": name_of(own),
    }


def _judged_page(judged: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of a comparison: a row per controller, and cost bars."""
    against = judged["baseline"]
    gaps = {row["controller"]: row for row in judged["differences"] if row["minus"] == against}
    shares = _shares(judged)
    rows = [
        {"name": name_of(row["controller"]), "row": row, "gap": gaps.get(row["controller"]),
         "shares": shares.get(row["controller"], (None, None))}
        for row in judged["controllers"]
    ]  # fmt: skip
    splits = [(r["name"], [r["row"]["split_usd"][p] for p in PARTS]) for r in rows]
    return {
        "rows": rows,
        "bars": cost_bars(splits),
        "baseline": name_of(against),
        "has_shares": bool(shares),
        "bound_usd": _bound(judged),
        "programs": _programs(judged),
    }


def _programs(judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """MPC, look-ahead, perfect information: name, days, mean cost, CPU of a decision, who costs less than the MPC."""
    yard = judged.get("yardsticks") or {}
    days = {
        "mpc": yard.get("n_mpc_days"),
        "lookahead": yard.get("n_lookahead_days"),
        "perfect": yard.get("n_slow_days"),
    }
    return [
        {
            "name": name_of(row["controller"]), "n_days": days[row["controller"]], "mean_usd": row["mean_usd"],
            "ms": row["cpu_us_per_decision"] / 1000.0,
            "against": [(name_of(n), gap) for n, gap in yard["against_mpc"].items() if n in (*_LEARNED, "lookahead")]
            if row["controller"] == "mpc" else [],
        }
        for row in yard.get("programs", ())
    ]  # fmt: skip


def _shares(judged: Mapping[str, Any]) -> dict[str, tuple[float | None, float | None]]:
    """By controller the share of the bound's saving and of the best known one, when the comparison tells."""
    found: dict[str, tuple[float | None, float | None]] = {}
    for row in judged.get("table", ()):
        if row["world"] == "as made" and (row["bound_share"] is not None or row["best_share"] is not None):
            found[row["controller"]] = (row["bound_share"], row["best_share"])
    yard = judged.get("yardsticks") or {}
    for key, place in (("share_of_bound", 0), ("share_of_best_known", 1)):
        for name, share in (yard.get(key) or {}).items():
            pair = list(found.get(name, (None, None)))
            pair[place] = share["value"]
            found[name] = (pair[0], pair[1])
    return found


def _bound(judged: Mapping[str, Any]) -> float | None:
    """Mean of the lower bound in USD a day, when the comparison computed it."""
    place = (judged.get("yardsticks") or {}).get("bound_usd") or judged.get("bound") or {}
    value = place.get("value", place.get("mean_usd"))
    return float(value) if isinstance(value, int | float) else None


def read_curves(folder: Path) -> list[tuple[str, list[float], list[float]]]:
    """Learning curves of a folder of history-*.csv: name, progress and cost in USD a day (second column)."""
    curves = []
    for path in sorted(folder.glob("history-*.csv"))[:_MOST_CURVES]:
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").split()[1:]]
        if rows:
            x, y = [float(r[0]) for r in rows], [float(r[1]) for r in rows]
            curves.append((path.stem.removeprefix("history-"), x, y))
    return curves


def _page(folder: Path) -> dict[str, Any]:
    found, plan = _read(folder / "opportunities" / "opportunities.json"), _read(folder / "plan" / "schedule.json")
    judged = _read(folder / "evaluate" / "evaluation.json")
    curves = read_curves(folder / "training")
    missing = folder / "no-plan.txt"
    return {
        "found": found,
        "shown": [] if found is None else [{**r, "what": _TYPES.get(r["type"], r["type"])}
                                           for r in found["opportunities"][:_MOST_FOUND]],
        "plan": plan,
        "day": None if plan is None else _plan_page(plan),
        "no_plan": missing.read_text(encoding="utf-8").strip() if missing.is_file() else "",
        "judged": judged,
        "table": None if judged is None else _judged_page(judged),
        "curves": learning(curves) if curves else None,
        "parts": list(zip(PARTS, COLORS, strict=True)),
        "some_usd": _SOME_USD,
    }  # fmt: skip


def energy_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder of the stage; DataError when damaged."""
    try:
        html = environment().get_template("energy.html.j2").render(**_page(folder))
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{folder}: the energy results are damaged ({error}); run the stage 'energy' again") from error
    return Markup(html), CSS
