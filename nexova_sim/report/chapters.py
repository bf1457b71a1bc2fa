"""Chapters of the report: what a later stage of a run left becomes a section of the page, made by a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from markupsafe import Markup

from nexova_sim.report.briefs import brief


class Chapter(NamedTuple):
    """A page: ``id`` (the anchor), ``title``, its inner ``html`` (already escaped) and rules added to the style.

    ``brief`` is its finding in a sentence, for the overview. The file runs no script but its own: figures are inline
    SVG, and ``css`` must not end the element. What belongs to one machine is an element with ``data-m`` (its id) or a
    row of a table whose first column is headed Machine; the filter finds it there. ``data-more hidden`` marks what is
    shown only when asked for.
    """

    id: str
    title: str
    html: Markup
    css: str = ""
    brief: str = ""


def _alerts(path: Path) -> Chapter:
    from nexova_sim.report.alerts import alerts_html

    html, css = alerts_html(path)
    return Chapter("alerts", "Alerts", html, css)


def _approvals(path: Path) -> Chapter:
    from nexova_sim.report.approvals import approvals_html

    html, css = approvals_html(path)
    return Chapter("approvals", "Approvals", html, css)


def _rul(path: Path) -> Chapter:
    from nexova_sim.report.rul import rul_html

    html, css = rul_html(path)
    return Chapter("rul", "Remaining life", html, css)


def _anomaly(path: Path) -> Chapter:
    from nexova_sim.report.anomaly import anomaly_html

    html, css = anomaly_html(path)
    return Chapter("anomaly", "Anomalies", html, css)


def _decisions(path: Path) -> Chapter:
    from nexova_sim.report.decisions import decisions_html

    html, css = decisions_html(path)
    return Chapter("decisions", "Decisions", html, css)


def _twin(path: Path) -> Chapter:
    from nexova_sim.report.twin import twin_html

    html, css = twin_html(path)
    return Chapter("twin", "Hidden state", html, css)


def _forecast(path: Path) -> Chapter:
    from nexova_sim.report.forecast import forecast_html

    html, css = forecast_html(path)
    return Chapter("forecast", "Forecast", html, css)


def _energy(path: Path) -> Chapter:
    from nexova_sim.report.energy import energy_html

    html, css = energy_html(path)
    return Chapter("energy", "Energy", html, css)


CHAPTERS: Mapping[str, Callable[[Path], Chapter]] = MappingProxyType(
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


def make_chapters(inputs: Mapping[str, Path]) -> tuple[Chapter, ...]:
    """The chapters of the artifacts in ``inputs`` (name to file or folder), in the order of the registry."""
    there = {name: path for name, path in inputs.items() if name in CHAPTERS}
    return tuple(make(there[name])._replace(brief=brief(name, there[name]))
                 for name, make in CHAPTERS.items() if name in there)  # fmt: skip
