"""The whole evaluation of one detector as JSON-like values: its row, trivial rows, tables by fault and size, gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nexova_sim.config.evaluation import EvaluateConfig
from nexova_sim.detect import trivial
from nexova_sim.detect.detection_metrics import Share, precision_recall, thin, wilson
from nexova_sim.detect.episodes import EXCUSED, FALSE, OUTSIDE, TRUE, Matched, Spans
from nexova_sim.detect.exam import FaultRow, Sheet
from nexova_sim.detect.judge import HOUR_MS, Answer, Gate, Grade, Row, bootstrap, gate, grade, row

SEVERITY_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
EFFECT_EDGES = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, math.inf)
VERDICTS: Mapping[int, str] = {TRUE: "true", EXCUSED: "excused", FALSE: "false", OUTSIDE: "outside"}
_SCORED_DRAWS = 5
_CURVE_POINTS = 160


def plain_row(values: Row) -> dict[str, Any]:
    """A row as nested dicts."""
    return {
        name: value._asdict() if isinstance(value, Share) else value
        for name, value in zip(Row._fields, values, strict=True)
    }


def evaluate_answer(sheet: Sheet, answer: Answer, rules: EvaluateConfig, flags: Answer | None = None,
                    progress: Callable[[int, int], None] = lambda _done, _total: None) -> dict[str, Any]:  # fmt: skip
    """Grade ``answer`` and the trivial detectors on ``sheet``. Same input and seed, same numbers.

    ``flags`` is the same detector with an alarm for every run of flags, before its post-rules.
    """
    exam = sheet.exam
    own = grade(exam, answer)
    found = row(own)
    demand = rules.gate
    asked = None
    if demand is not None:
        asked = Gate(demand.most_alarms_per_machine_day, demand.least_precision_low_frac, demand.least_recall_frac)
    met = gate(found, asked) if asked else {}
    curve = thin(precision_recall(exam.label, answer.score), _CURVE_POINTS)
    return {
        "judged": _judged(sheet, own),
        "detector": plain_row(found),
        "without_rules": None if flags is None else plain_row(row(grade(exam, flags))),
        "interval": {name: list(pair) for name, pair in bootstrap(own, rules.n_bootstrap, rules.seed).items()},
        "trivial": _trivial_rows(sheet, answer, rules, progress),
        "by_fault": by_fault(sheet, own.matched),
        "by_severity": _banded(sheet, own.matched, SEVERITY_EDGES, lambda f: f.severity),
        "by_effect": _banded(
            sheet, own.matched, EFFECT_EDGES, lambda f: None if f.effect is None else f.effect.effect_sd
        ),
        "gate": None if asked is None else {**asked._asdict(), "met": met, "is_met": all(met.values())},
        "curve": {
            "recall": curve.recall.tolist(), "precision": curve.precision.tolist(), "ap": curve.ap,
            "prevalence": curve.prevalence,
        },
    }  # fmt: skip


def _judged(sheet: Sheet, own: Grade) -> dict[str, Any]:
    exam = sheet.exam
    is_judged = own.matched.is_judged
    return {
        "n_machines": len(exam.judged.machine),
        "machine_days": float(own.days.sum()),
        "n_cells": len(exam.label),
        "prevalence_frac": float(exam.label.mean()) if len(exam.label) else math.nan,
        "n_faults": int(is_judged.sum()),
        "n_physical": sum(not f.is_sensor and bool(j) for f, j in zip(sheet.faults, is_judged, strict=True)),
        "n_detectable": int((is_judged & exam.asked).sum()),
        "n_episodes": len(np.unique(own.matched.episode[is_judged])),
        "n_failures": sheet.n_failures,
        "knows_physics": sheet.knows_physics,
        "start_ms": int(exam.judged.start_ms.min()),
        "end_ms": int(exam.judged.end_ms.max()),
    }


def _trivial_rows(sheet: Sheet, answer: Answer, rules: EvaluateConfig,
                  progress: Callable[[int, int], None]) -> dict[str, Any]:  # fmt: skip
    exam = sheet.exam
    level = trivial.best_threshold(exam.cells, exam.label, sheet.channels)
    clock = trivial.best_clock(exam.cells, exam.label)
    answers = {
        "always": ("one alarm per machine, for ever", trivial.always(exam.cells)),
        "never": ("no alarm", trivial.never(exam.cells)),
        "threshold": (f"best level of one channel, chosen with the labels: {level.words}", level.answer),
        "clock": (f"best stretch of time, chosen with the labels: {clock.words}", clock.answer),
    }
    rows = {name: {"words": words, **plain_row(row(grade(exam, a)))} for name, (words, a) in answers.items()}
    return {**rows, "random": _random_row(sheet, _inside(sheet, answer.alarms), rules, progress)}


def _inside(sheet: Sheet, alarms: Spans) -> Spans:
    """The alarms that are judged."""
    start = np.full(len(sheet.machine_ids), np.iinfo(np.int64).max)
    start[sheet.exam.judged.machine] = sheet.exam.judged.start_ms
    keep = alarms.start_ms >= start[alarms.machine]
    return Spans(alarms.machine[keep], alarms.start_ms[keep], alarms.end_ms[keep])


def _random_row(sheet: Sheet, like: Spans, rules: EvaluateConfig,
                progress: Callable[[int, int], None]) -> dict[str, Any]:  # fmt: skip
    """Means over many draws of as many alarms at random times, with the 95 % range of precision and recall."""
    rng = np.random.default_rng(rules.seed + 1)
    rows = []
    for number in range(rules.n_random):
        rows.append(row(grade(sheet.exam, trivial.at_random(sheet.exam.cells, like, rng), number < _SCORED_DRAWS)))
        progress(number + 1, rules.n_random)
    out: dict[str, Any] = {"words": f"as many alarms, as long, at random times; mean of {rules.n_random} draws"}
    for name in Row._fields:
        values = [getattr(r, name) for r in rows]
        if isinstance(values[0], Share):
            shares = np.array([v.value for v in values])
            known = shares[np.isfinite(shares)]
            low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (math.nan, math.nan)
            out[name] = {"k": float(np.mean([v.k for v in values])), "n": float(np.mean([v.n for v in values])),
                         "value": _mean(shares), "low": float(low), "high": float(high)}  # fmt: skip
        else:
            out[name] = _mean(np.array(values, np.float64))
    return out


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def by_fault(sheet: Sheet, matched: Matched) -> list[dict[str, Any]]:
    """One row per fault kind: how many, found, detectable and found, delay; physical kinds first."""
    rows = []
    for is_sensor, name in sorted({(f.is_sensor, f.fault) for f in sheet.faults}):
        mine = np.array([f.fault == name for f in sheet.faults], np.bool_)
        rows.append({"fault": name, "is_sensor": is_sensor, **_line(sheet, matched, mine)})
    return rows


def _banded(sheet: Sheet, matched: Matched, edges: Sequence[float],
            measure: Callable[[FaultRow], float | None]) -> list[dict[str, Any]]:  # fmt: skip
    """Physical faults in bands (low, high] of ``measure``; faults without it are left out."""
    values = np.array([math.nan if f.is_sensor or (v := measure(f)) is None else v for f in sheet.faults])
    rows = []
    for low, high in pairwise(edges):
        line = _line(sheet, matched, ((values > low) | ((values == low) & (low == edges[0]))) & (values <= high))
        if line["found"]["n"]:
            rows.append({"low": low, "high": None if math.isinf(high) else high, **line})
    return rows


def _line(sheet: Sheet, matched: Matched, holds: np.ndarray) -> dict[str, Any]:
    mine = holds & matched.is_judged
    found = mine & (matched.found_by >= 0)
    asked = mine & sheet.exam.asked
    delay_h = matched.delay_ms[found] / HOUR_MS
    return {
        "found": wilson(int(found.sum()), int(mine.sum()))._asdict(),
        "detectable": wilson(int((found & asked).sum()), int(asked.sum()))._asdict(),
        "delay_median_h": float(np.median(delay_h)) if len(delay_h) else math.nan,
        "delay_p90_h": float(np.quantile(delay_h, 0.9)) if len(delay_h) else math.nan,
    }


def alarm_verdicts(sheet: Sheet, matched: Matched) -> tuple[list[str], list[str | None]]:
    """Verdict of every alarm, and the fault kind it is true for."""
    faults = [None if f < 0 else sheet.faults[f].fault for f in matched.first_fault.tolist()]
    return [VERDICTS[v] for v in matched.verdict.tolist()], faults
