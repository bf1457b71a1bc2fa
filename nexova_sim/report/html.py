"""One self-contained page: no network, no external file; names from data are text everywhere, never markup or code."""

from __future__ import annotations

import base64
import hashlib
import math
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
from nexova_sim.report.views import machine_view, merge_edges, power_lines
from nexova_sim.report.words import environment, island, percent

_HERE = Path(__file__).resolve().parent
_WIDE_PX, _NARROW_PX = 1080, 348
_NARROW_BINS, _POWER_BINS, _STRIP_BINS = 160, 240, 120
_MOST_ROWS = 2000
_MOST_ATTENTION = 12


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


def _record(row: MachineRow) -> dict[str, Any]:
    """A machine as it stands in the JSON of the page."""
    return {
        "machine_id": row.machine_id,
        "name": row.name,
        "kind": row.kind,
        "factory_id": row.factory_id,
        "state": STATE_NAMES[row.state],
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


def render(title: str, fleet: FleetData, making: Making, max_figures: int,
           chapters: Sequence[Chapter] = ()) -> Page:  # fmt: skip
    """The report of a fleet; the same data give the same page. At most ``max_figures`` machines get a figure.

    ``chapters`` of later stages stand between the fleet and its data quality, in the order given.
    """
    grid = fleet.series.grid
    faults = tables.fault_rows(fleet.labels)
    stops = tables.stop_rows(fleet.events, grid.end_ms)
    machines = tables.machine_rows(fleet, faults, stops)
    states = tables.fleet_states(fleet)
    factories = tables.factory_rows(fleet, machines)
    quality = tables.quality_rows(fleet)
    chosen = tables.most_interesting(machines, max_figures)
    truth = tables.has_truth(fleet)
    attention = tables.needs_attention(machines, grid.end_ms)
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    counts = _state_counts(machines, truth)
    html = (
        environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            fleet=fleet,
            grid=grid,
            making=making,
            chapters=chapters,
            machines=machines,
            strips=[strip(row) for row in states],
            factories=factories,
            counts=counts,
            faults=faults[:_MOST_ROWS],
            n_faults=len(faults),
            n_sensor_faults=sum(f.is_sensor for f in faults),
            stops=stops[:_MOST_ROWS],
            n_stops=len(stops),
            n_failures=sum(s.is_failure for s in stops),
            quality=[row for row in quality if not row.is_clean][:_MOST_ROWS],
            n_clean=sum(row.is_clean for row in quality),
            attention=attention[:_MOST_ATTENTION],
            n_attention=len(attention),
            chosen=frozenset(chosen),
            place={row.machine_id: i for i, row in enumerate(machines)},
            figures=_figures(fleet, machines, states, chosen),
            power=_power(fleet, factories),
            energy_kwh=float(fleet.series.energy_kwh.sum()),
            running_frac=float(fleet.series.status[0].sum() / max(1, fleet.series.status.sum())),
            truth=truth,
            has=[bool(fleet.series.n_valid[c].any()) for c in range(3)],
            state_names=STATE_NAMES,
            state_keys=STATE_KEYS,
            data=island({"machines": [_record(row) for row in machines]}),
            css=Markup("\n".join([(_HERE / "page.css").read_text(encoding="utf-8"), *(c.css for c in chapters)])),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode(),
        )
    )
    return Page(html, len(chosen), {c["name"]: c["n"] for c in counts})
