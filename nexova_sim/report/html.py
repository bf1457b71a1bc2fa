"""One self-contained page: no network, no external file; names from data are text everywhere, never markup or code."""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape

from nexova_sim.report import tables
from nexova_sim.report.chapters import Chapter
from nexova_sim.report.figures import machine_figure, power_figure
from nexova_sim.report.states import (
    CRITICAL,
    HEALTHY,
    MAINTENANCE,
    OFFLINE,
    RUNNING,
    STATE_KEYS,
    STATE_NAMES,
    WARNING,
    coarse,
    runs_of,
)
from nexova_sim.report.tables import FleetData, MachineRow
from nexova_sim.report.traces import traces
from nexova_sim.report.views import machine_view, merge_edges, power_lines
from nexova_sim.report.words import environment, island, percent
from nexova_sim.schema.channels import STATUSES

_HERE = Path(__file__).resolve().parent
_WIDE_PX, _NARROW_PX = 1080, 348
_NARROW_BINS, _POWER_BINS, _STRIP_BINS = 160, 240, 120
_MOST_ROWS, _SHOWN_ROWS, _SHOWN_ATTENTION = 2000, 200, 12
# Known to the browser before it draws anything, so that pages do not flash by.
_EARLY = 'document.documentElement.classList.add("live")'
_SCRIPTS = ("trace.js", "page.js")
_FLEET_PAGES = (
    ("overview", "Overview"),
    ("machines", "Machines"),
    ("figures", "Figures"),
    ("faults", "Faults and maintenance"),
)
_RECORD_PAGES = (("quality", "Data quality"), ("making", "How it was made"))


class Making(NamedTuple):
    """How the data were made: facts (name, value), commands that make them again, resolved configuration as YAML."""

    facts: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    config: str


class Page(NamedTuple):
    """A rendered report: the page, how many machines have a figure, machines by state."""

    html: str
    n_figures: int
    states: Mapping[str, int]


def strip(states: np.ndarray) -> Markup:
    """A machine's states (codes per bin, shape (b,)) as a narrow band for a table cell, with its shares as text."""
    row = coarse(states, _STRIP_BINS)
    shares = np.bincount(row, minlength=len(STATE_NAMES)) / max(1, len(row))
    label = ", ".join(f"{STATE_NAMES[s]} {percent(float(shares[s]))} %" for s in np.argsort(-shares) if shares[s] > 0)
    parts = [
        f'<rect class="s-{STATE_KEYS[r.state]}" x="{r.first}" width="{r.last - r.first}" height="10"/>'
        for r in runs_of(row)
    ]
    size = f'viewBox="0 0 {len(row)} 10" preserveAspectRatio="none"'
    box = f'<svg class="strip" {size} role="img" aria-label="{escape(label)}">'
    return Markup(box + "".join(parts) + "</svg>")


def _short(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def shown_state(row: MachineRow, truth: bool) -> tuple[str, str]:
    """Colour key and name of a machine's state at the end: its health class, without truth its status."""
    if not truth and row.status == "MAINTENANCE":
        return STATE_KEYS[MAINTENANCE], row.status
    return STATE_KEYS[row.state], STATE_NAMES[row.state]


def _record(row: MachineRow, truth: bool) -> dict[str, Any]:
    """A machine as it stands in the JSON of the page."""
    return {
        "machine_id": row.machine_id,
        "name": row.name,
        "kind": row.kind,
        "factory_id": row.factory_id,
        "state": shown_state(row, truth)[1],
        "status": row.status,
        "health_percent": _short(row.health_end, 1),
        "lowest_health_percent": _short(row.health_low, 1),
        "energy_kwh": _short(row.energy_kwh, 1),
        "running_frac": _short(row.running_frac, 4),
        "highest_temperature_c": _short(row.peak_temperature_c, 1),
        "highest_vibration_mm_s": _short(row.peak_vibration_mm_s, 2),
        "faults": len(row.faults),
        "failures": row.n_failures,
        "complete_frac": _short(row.there_frac, 5),
    }


def _choices(counts: Sequence[Mapping[str, Any]], machines: Sequence[MachineRow], truth: bool) -> list[Any]:
    """What the filter offers: (label, key of a record, names with how many), health apart from status."""
    status = Counter(row.status for row in machines if row.status)
    by_status = ("Status", "status", [(name, status[name]) for name in STATUSES if status[name]])
    return [("Health", "state", [(c["name"], c["n"]) for c in counts if c["n"]]), by_status] if truth else [by_status]


def _pages(chapters: Sequence[Chapter]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The pages by group: (id, title) in reading order."""
    stages = [(c.id, c.title) for c in chapters]
    groups = [("Fleet", list(_FLEET_PAGES)), ("Stages", stages), ("Record", list(_RECORD_PAGES))]
    return [(name, entries) for name, entries in groups if entries]


def _state_counts(machines: Sequence[MachineRow], truth: bool) -> list[dict[str, Any]]:
    """Machines by state at the end; without truth there is no health, so by status."""
    codes: tuple[int, ...] = (HEALTHY, WARNING, CRITICAL, OFFLINE)
    if truth and any(row.state == RUNNING for row in machines):
        codes = (*codes, RUNNING)
    if truth:
        found = [(code, sum(row.state == code for row in machines)) for code in codes]
    else:
        status = {RUNNING: "ONLINE", OFFLINE: "OFFLINE", MAINTENANCE: "MAINTENANCE"}
        found = [(code, sum(row.status == name for row in machines)) for code, name in status.items()]
    return [{"key": STATE_KEYS[c], "name": STATE_NAMES[c], "n": n, "share": n / len(machines)} for c, n in found]


def _figures(
    fleet: FleetData, machines: Sequence[MachineRow], states: np.ndarray, chosen: Sequence[int]
) -> list[dict[str, Any]]:
    n_bins = fleet.series.grid.n_bins
    factor = max(1, -(-n_bins // _NARROW_BINS))
    figures = []
    for i in chosen:
        row = machines[i]
        wide = machine_view(fleet.series, states[i], i, row, 1)
        narrow = machine_view(fleet.series, states[i], i, row, factor)
        figures.append(
            {
                "row": row,
                "id": f"machine-{i}",
                "wide": Markup(machine_figure(wide, _WIDE_PX, f"w{i}")),
                "narrow": Markup(machine_figure(narrow, _NARROW_PX, f"n{i}")),
            }
        )
    return figures


def _power(fleet: FleetData, factories: Sequence[tables.FactoryRow]) -> dict[str, Any] | None:
    lines = factories[:8]
    if not any(np.isfinite(row.power_kw).any() for row in lines):
        return None
    factor = max(1, -(-fleet.series.grid.n_bins // _POWER_BINS))
    edges, drawn = merge_edges(fleet.series, factor), power_lines(lines, factor)
    return {
        "names": [row.name for row in lines],
        "wide": Markup(power_figure(edges, drawn, _WIDE_PX, "wp")),
        "narrow": Markup(power_figure(edges, drawn, _NARROW_PX, "np")),
    }


def _hash(script: str) -> str:
    """What the page's policy knows a script by."""
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()


def _whole(fleet: FleetData, machines: Sequence[MachineRow], states: np.ndarray, truth: bool) -> dict[str, Any]:
    """What the templates show of the fleet as a whole."""
    counts = _state_counts(machines, truth)
    factories = tables.factory_rows(fleet, machines)
    quality = tables.quality_rows(fleet)
    return {
        "grid": fleet.series.grid,
        "strips": [strip(row) for row in states],
        "factories": factories,
        "counts": counts,
        "choice": "state" if truth else "status",
        "choices": _choices(counts, machines, truth),
        "quality": [row for row in quality if not row.is_clean][:_MOST_ROWS],
        "n_clean": sum(row.is_clean for row in quality),
        "attention": tables.needs_attention(machines, fleet.series.grid.end_ms),
        "power": _power(fleet, factories),
        "energy_kwh": float(fleet.series.energy_kwh.sum()),
        "running_frac": float(fleet.series.status[0].sum() / max(1, fleet.series.status.sum())),
        "has": [bool(fleet.series.n_valid[c].any()) for c in range(3)],
        "data": island({"machines": [_record(row, truth) for row in machines]}),
        "traces": island(traces(fleet.series, states, machines)),
    }


def render(title: str, fleet: FleetData, making: Making, max_figures: int,
           chapters: Sequence[Chapter] = ()) -> Page:  # fmt: skip
    """The report of a fleet; the same data give the same page. At most ``max_figures`` machines get a figure.

    ``chapters`` of later stages are pages between those of the fleet and those of its record, in the order given.
    """
    faults = tables.fault_rows(fleet.labels)
    stops = tables.stop_rows(fleet.events, fleet.series.grid.end_ms)
    machines = tables.machine_rows(fleet, faults, stops)
    states = tables.fleet_states(fleet)
    chosen = tables.most_interesting(machines, max_figures)
    truth = tables.has_truth(fleet)
    script = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    whole = _whole(fleet, machines, states, truth)
    html = (
        environment()
        .get_template("page.html.j2")
        .render(
            **whole,
            title=title,
            fleet=fleet,
            making=making,
            chapters=chapters,
            pages=_pages(chapters),
            briefs=[c for c in chapters if c.brief],
            machines=machines,
            faults=faults[:_MOST_ROWS],
            n_faults=len(faults),
            n_sensor_faults=sum(f.is_sensor for f in faults),
            stops=stops[:_MOST_ROWS],
            n_stops=len(stops),
            n_failures=sum(s.is_failure for s in stops),
            shown_rows=_SHOWN_ROWS,
            shown_attention=_SHOWN_ATTENTION,
            chosen=frozenset(chosen),
            place={row.machine_id: i for i, row in enumerate(machines)},
            figures=_figures(fleet, machines, states, chosen),
            truth=truth,
            shown_state=lambda row: shown_state(row, truth),
            css=Markup("\n".join([(_HERE / "page.css").read_text(encoding="utf-8"), *(c.css for c in chapters)])),
            early=Markup(_EARLY),
            script=Markup(script),
            script_hashes=(_hash(_EARLY), _hash(script)),
        )
    )
    return Page(html, len(chosen), {c["name"]: c["n"] for c in whole["counts"]})
