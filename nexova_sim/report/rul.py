"""The chapter on remaining life: who fails soonest at what cost, how good the methods are, whether chances are true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.plots import CSS, square
from nexova_sim.report.words import environment

_SHOWN_ROWS, _MOST_ROWS = 40, 2000
_COLUMNS = (
    ("rmse_h", "RMSE, h"),
    ("mae_h", "MAE, h"),
    ("bias_h", "Bias, h"),
    ("phm08", "PHM08"),
    ("crps_h", "CRPS, h"),
    ("coverage_frac", "In interval, %"),
    ("width_h", "Width, h"),
    ("alpha_lambda_frac", "Alpha-lambda, %"),
)
_CSS = CSS + (
    ".ru-two{display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:12px}"
    ".ru-bar{position:relative;display:block;height:8px;min-width:90px;background:var(--tint);border-radius:4px}"
    ".ru-bar i{position:absolute;top:0;height:8px;border-radius:4px;background:var(--series0)}"
)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def risk_of(p_fail: float) -> str:
    """Colour class of a chance of failure within the horizon: half or more is critical, a tenth or more a warning."""
    return "critical" if p_fail >= 0.5 else "warning" if p_fail >= 0.1 else "healthy"


def _machines(found: dict[str, Any]) -> list[dict[str, Any]]:
    top = max([1e-9, *(m["high_h"] or 0.0 for m in found["machines"][:_MOST_ROWS])])
    return [
        {**m, "risk": risk_of(m["p_fail"]), "left": round(100.0 * m["low_h"] / top, 2),
         "width": round(max(1.0, 100.0 * (m["high_h"] - m["low_h"]) / top), 2)}
        for m in found["machines"][:_MOST_ROWS]
    ]  # fmt: skip


def _chance(judged: dict[str, Any], method: str) -> tuple[Markup, dict[str, Any]] | None:
    chance = judged["methods"].get(method, {}).get("chance", {})
    if "reliability" not in chance:
        return None
    curves = [
        (color, chance["reliability"][name]["forecast"], chance["reliability"][name]["observed"], True)
        for name, color in (("raw", "--muted"), ("calibrated", "--series0"))
    ]
    label = "Observed share of failures by forecast probability, raw and calibrated"
    return square(curves, "forecast", "observed", label, has_diagonal=True), chance


def rul_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder of the stage; DataError when damaged."""
    try:
        found = _read(folder / "predict" / "predict.json")
        judged = _read(folder / "evaluate" / "evaluate.json")
        if found is None:
            raise ValueError("predict.json is missing")
        tables = [] if judged is None else [
            (label, [(name, tables[label]["all"]) for name, tables in judged["methods"].items()])
            for label in ("capped", "uncapped")
        ]  # fmt: skip
        html = (
            environment()
            .get_template("rul.html.j2")
            .render(found=found, machines=_machines(found), n=len(found["machines"]), judged=judged, tables=tables,
                    columns=_COLUMNS, shown=_SHOWN_ROWS,
                    chance=None if judged is None else _chance(judged, found["method"]))
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: remaining lives are damaged ({error}); run the stage 'rul' again") from error
    return Markup(html), _CSS
