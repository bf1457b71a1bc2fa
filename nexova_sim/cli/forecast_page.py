"""How a backtest is told on a terminal: point errors, intervals, differences, and the gate machine by machine."""

from __future__ import annotations

from typing import Any

from nexova_sim.cli import echo

_MOST_MACHINES = 30
_POINT = (("mase", "MASE"), ("rmsse", "RMSSE"), ("wape", "WAPE"), ("mape_running", "MAPE running"),
          ("mape_median", "its median"), ("mape_met_frac", "weeks met"), ("week_kwh_frac", "week kWh"),
          ("week_cost_frac", "week cost"))  # fmt: skip
_BAND = (("pinball", "pinball"), ("msis", "MSIS"), ("coverage_frac", "coverage"), ("width_frac", "width"),
         ("crps", "CRPS"))  # fmt: skip


def backtest_page(found: dict[str, Any]) -> str:
    """The tables of ``backtest.json`` as text; every share is a fraction."""
    models = found["models"]
    gate = f"{found['gate_mape_percent']:g} %"
    point = echo.grid([[name, *(row[key] for key, _ in _POINT)] for name, row in models.items()],
                      ["model", *(head for _, head in _POINT)])  # fmt: skip
    heads = ["model", *(head for _, head in _BAND), f"MASE of {found['model']} less its own, +- 2 standard errors"]
    band = echo.grid([[name, *(row[key] for key, _ in _BAND), _against(found, name)] for name, row in models.items()],
                     heads)  # fmt: skip
    return "\n\n".join([
        f"{found['origins']} origins, {found['series']} series; MASE and RMSSE in units of the change over 168 hours",
        _mask(found),
        point,
        "95 % interval: pinball, MSIS and CRPS in units of the change over 168 hours, width of the mean energy",
        band,
        _gate(found, gate),
        *_short(models),
    ])  # fmt: skip


def _against(found: dict[str, Any], name: str) -> str:
    gap = found["against"][name]
    if gap["mean"] is None or gap["se"] is None or gap["verdict"] == "same":
        return str(gap["verdict"])
    return f"{gap['mean']:+.3f} +- {2 * gap['se']:.3f}: {gap['verdict']}"


def _mask(found: dict[str, Any]) -> str:
    limit = f"{100 * found['running_limit_frac']:g} %"
    text = f"MAPE counts running hours only, those above {limit} of the 95th percentile of the hours before the origin"
    n, of = found["running_hours"], found["judged_hours"]
    return text + (f": {n:,} of {of:,} measured hours ({100 * n / of:.1f} %), {of - n:,} left out" if of else "")


def _gate(found: dict[str, Any], gate: str) -> str:
    met, of = found["gate_met_machines"], found["gate_judged_machines"]
    rows = sorted(found["machines"], key=lambda m: (m["mape_running"] is None, m["mape_running"] or 0.0, m["series"]))
    word = {True: "met", False: "not met", None: "never running"}
    table = echo.grid([[m["series"], m["mape_running"], m["mase"], word[m["is_met"]]] for m in rows[:_MOST_MACHINES]],
                      ["machine", "MAPE running, median week", "MASE, median week", f"gate {gate}"])  # fmt: skip
    more = len(rows) - _MOST_MACHINES
    text = f"gate, by {found['model']}: MAPE of the median week below {gate}: met by {met} of {of} machines"
    return text + (f"\n\n{table}" if rows else "") + (f"\n... and {more} more in backtest.json" if more > 0 else "")


def _short(models: dict[str, Any]) -> list[str]:
    short = [f"{name} {100 * row['fallback_frac']:.0f} %" for name, row in models.items() if row["fallback_frac"] > 0.0]
    return ["forecasts made by a fallback because the history was too short: " + ", ".join(short)] if short else []
