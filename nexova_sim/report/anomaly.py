"""The anomaly chapter: scores over time, alarms with what drove them, and, with labels, how good the detector is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup

from nexova_sim.base.errors import DataError
from nexova_sim.report.plots import CSS, cells, square
from nexova_sim.report.words import clock, environment

_SHOWN_STRIPS, _MOST_STRIPS, _SHOWN_ALARMS, _MOST_ALARMS, _BINS = 40, 1000, 60, 2000, 240
_COLORS = ("--series0", "--warning", "--critical")
_CSS = CSS + (
    ".pl-strip{display:block;width:100%;height:12px;background:var(--tint);border-radius:3px}"
    ".an-row{display:grid;grid-template-columns:minmax(8em,14em) 1fr 2em;gap:4px 10px;margin:3px 0;"
    "align-items:center;font-size:13.5px}"
    "@media (max-width:760px){.an-row{grid-template-columns:minmax(6em,9em) 1fr 1.5em}}"
)
_ROWS = ("detector", "without_rules", "random", "threshold", "clock", "always", "never")
_NAMES = {
    "detector": "this detector",
    "without_rules": "every flag an alarm",
    "random": "as many at random",
    "threshold": "best level of a channel",
    "clock": "best stretch of time",
    "always": "always",
    "never": "never",
}
_FIGURES = ("alarms_per_machine_day", "delay_median_h", "mcc", "ap", "vus_pr")


class Strip(NamedTuple):
    """A machine's scores over time as a strip, and how many alarms it had."""

    machine_id: str
    svg: Markup
    n_alarms: int


def highest_scores(path: Path, start_ms: int, end_ms: int) -> tuple[list[str], np.ndarray]:
    """Machines and their highest score in each of 240 equal spans, (m, 240); 0 where there is none."""
    with pq.ParquetFile(path) as source:
        ids: dict[str, int] = {}
        most = np.zeros((0, _BINS), np.float32)
        for batch in source.iter_batches(262_144, columns=["machine_id", "timestamp", "score"]):
            column = batch.column(0) if pa.types.is_dictionary(batch.column(0).type) else (
                batch.column(0).dictionary_encode())  # fmt: skip
            names = column.dictionary.to_pylist()
            for name in names:
                ids.setdefault(name, len(ids))
            if len(ids) > len(most):
                most = np.vstack([most, np.zeros((len(ids) - len(most), _BINS), np.float32)])
            place = np.array([ids[n] for n in names], np.int64)[column.indices.to_numpy()]
            time = batch.column(1).cast(pa.int64()).to_numpy()
            at = np.clip((time - start_ms) * _BINS // max(1, end_ms - start_ms), 0, _BINS - 1)
            np.maximum.at(most, (place, at), np.nan_to_num(batch.column(2).to_numpy(zero_copy_only=False)))
    return list(ids), most


def _span(about: dict[str, Any]) -> tuple[int, int]:
    start, end = (int(np.datetime64(about[k].removesuffix("Z"), "ms").astype(np.int64)) for k in ("start", "end"))
    return start, end


def _strips(folder: Path, about: dict[str, Any], alarms: list[dict[str, Any]]) -> tuple[list[Strip], int]:
    """The machines with the most alarms, then the highest scores."""
    start, end = _span(about)
    ids, most = highest_scores(folder / "scores.parquet", start, end)
    count = dict.fromkeys(ids, 0)
    for alarm in alarms:
        count[alarm["machine_id"]] = count.get(alarm["machine_id"], 0) + 1
    top = np.float32(about["threshold"])
    classes = np.where(most >= top, 3, np.where(most >= 0.999, 2, np.where(most >= 0.99, 1, 0)))
    order = sorted(range(len(ids)), key=lambda m: (-count[ids[m]], -float(most[m].sum())))[:_MOST_STRIPS]
    return [
        Strip(ids[m], cells(classes[m].tolist(), _COLORS, f"Scores of {ids[m]} over time"), count[ids[m]])
        for m in order
    ], len(ids)


def _share(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "\u2013"
    return f"{100 * row['value']:.1f} ({row['k']:.0f}/{row['n']:.0f})"


def _judged(found: dict[str, Any]) -> dict[str, Any]:
    """Tables and curve of an evaluation, ready to print."""
    rows = []
    for name in _ROWS:
        row = found.get(name) or found["trivial"].get(name)
        if row:
            shares = {"recall": "event_recall", "asked": "asked_recall", "precision": "precision"}
            told = {label: _share(row[key]) for label, key in shares.items()}
            rows.append({"name": _NAMES[name], **told, **{k: row[k] for k in _FIGURES}})
    curve = found["curve"]
    # Without a fault there is no recall, and nothing to draw.
    known = [
        (r, p) for r, p in zip(curve["recall"], curve["precision"], strict=True) if r is not None and p is not None
    ]
    line = [("--series0", [r for r, _ in known], [p for _, p in known], False),
            ("--muted", [0.0, 1.0], [curve["prevalence"] or 0.0] * 2, False)]  # fmt: skip
    faults = [{**f, "found": _share(f["found"]), "detectable": _share(f["detectable"])} for f in found["by_fault"]]
    bands = [{**b, "found": _share(b["found"])} for b in found["by_severity"]]
    label = "Precision against recall of hourly cells, and the prevalence"
    picture = square(line, "recall", "precision", label) if known else ""
    return {"rows": rows, "faults": faults, "bands": bands, "curve": picture, "about": found["judged"],
            "gate": found["gate"], "ap": curve["ap"]}  # fmt: skip


def anomaly_html(folder: Path) -> tuple[Markup, str]:
    """The inner HTML of the chapter and its style, from the folder of scores; DataError when damaged."""
    try:
        about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        alarms = pq.read_table(folder / "alarms.parquet").to_pylist()
        path = folder / "evaluation.json"
        judged = _judged(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
        strips, n_machines = _strips(folder, about, alarms)
        alarms.sort(key=lambda a: (-a["peak_score"], -a["peak_ratio"], a["raised"]))
        shown = [
            {**a, "raised": clock(round(a["raised"].timestamp() * 1000)),
             "cleared": "" if a["cleared"] is None else clock(round(a["cleared"].timestamp() * 1000))}
            for a in alarms[:_MOST_ALARMS]
        ]  # fmt: skip
        page = {"about": about, "strips": strips, "n_machines": n_machines, "alarms": shown, "n_alarms": len(alarms),
                "span": _span(about), "shown_strips": _SHOWN_STRIPS, "shown": _SHOWN_ALARMS}  # fmt: skip
        html = environment().get_template("anomaly.html.j2").render(**page, judged=judged)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{folder}: scores are damaged ({error}); run the stage 'anomaly' again") from error
    return Markup(html), _CSS
