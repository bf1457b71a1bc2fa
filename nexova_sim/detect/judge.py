"""One detector's answer to one exam, graded: events, alarms, cells, and how sure the numbers are.

Everything is counted per machine first, so that resampling machines (the cluster bootstrap) costs a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.detect import detection_metrics as dm
from nexova_sim.detect.cells import Cells
from nexova_sim.detect.episodes import EXCUSED, FALSE, TRUE, Matched, Rules, Spans, match
from nexova_sim.detect.vus import Surface, surface, vus_pr

DAY_MS = 86_400_000.0
HOUR_MS = 3_600_000.0


class Exam(NamedTuple):
    """What every detector is asked.

    ``label`` (c,) bool: a fault touches the cell; ``asked`` (f,) bool: faults the gate's recall is over (physical and
    detectable); ``judged`` one span per machine; ``widths`` of VUS-PR in cells.
    """

    cells: Cells
    label: np.ndarray
    faults: Spans
    asked: np.ndarray
    excuses: Spans
    judged: Spans
    rules: Rules
    widths: Sequence[int]
    n_thresholds: int = 250


class Answer(NamedTuple):
    """What a detector says: ``score`` (c,) 0..1 or any order, ``flag`` (c,) bool, its alarms (raised, cleared)."""

    score: np.ndarray
    flag: np.ndarray
    alarms: Spans


class Grade(NamedTuple):
    """Counts per machine (m,): faults judged and found, asked and found; alarms by verdict; days.

    ``n_once`` counts the first true alarm of each episode; ``table`` (m, 4) cells as tp, fp, fn, tn; ``surface`` of the
    score (None: not asked for); ``ap`` over every distinct score; ``delay_ms`` of the found faults; and the matching.
    """

    n_faults: np.ndarray
    n_found: np.ndarray
    n_asked: np.ndarray
    n_asked_found: np.ndarray
    n_true: np.ndarray
    n_once: np.ndarray
    n_false: np.ndarray
    n_excused: np.ndarray
    days: np.ndarray
    table: np.ndarray
    surface: Surface | None
    ap: float
    delay_ms: np.ndarray
    matched: Matched


def grade(exam: Exam, answer: Answer, with_score: bool = True) -> Grade:
    """Match the alarms of ``answer``, count its cells and, ``with_score``, the surface behind AP and VUS-PR."""
    n_machines = len(exam.cells.starts) - 1
    found = match(answer.alarms, exam.faults, exam.excuses, exam.judged, exam.rules)

    def per_machine(machine: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.bincount(machine[mask], minlength=n_machines).astype(np.float64)

    own, who = exam.faults.machine, answer.alarms.machine
    hit = found.is_judged & (found.found_by >= 0)
    days = np.zeros(n_machines)
    days[exam.judged.machine] = (exam.judged.end_ms - exam.judged.start_ms) / DAY_MS
    pairs = ((exam.label, answer.flag), (~exam.label, answer.flag), (exam.label, ~answer.flag),
             (~exam.label, ~answer.flag))  # fmt: skip
    table = np.stack([per_machine(exam.cells.machine, a & b) for a, b in pairs], axis=1)
    return Grade(
        per_machine(own, found.is_judged), per_machine(own, hit), per_machine(own, found.is_judged & exam.asked),
        per_machine(own, hit & exam.asked), per_machine(who, found.verdict == TRUE), per_machine(who, found.is_first),
        per_machine(who, found.verdict == FALSE), per_machine(who, found.verdict == EXCUSED), days, table,
        surface(exam.label, answer.score, exam.cells.starts, exam.widths, exam.n_thresholds) if with_score else None,
        dm.precision_recall(exam.label, answer.score).ap if with_score else math.nan,
        found.delay_ms[hit], found,
    )  # fmt: skip


def average_precision(counts: Surface, weights: np.ndarray) -> float:
    """AP at the thresholds of ``counts`` only, machines counted ``weights`` (m,) times: near enough for an interval."""
    positive = float(weights @ counts.n_faulty)
    if not positive:
        return math.nan
    hit, predicted = weights @ counts.hit, weights @ counts.predicted
    return float(np.sum(np.diff(hit / positive, prepend=0.0) * (hit / np.maximum(predicted, 1e-300))))


def _ratio(above: np.ndarray, below: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda weights: dm.ratio(float(weights @ above), float(weights @ below))


def measures(g: Grade) -> Mapping[str, Callable[[np.ndarray], float]]:
    """Every measure as a function of how often each machine counts (m,)."""

    def cells(weights: np.ndarray) -> dm.Counts:
        return dm.Counts(*(float(v) for v in weights @ g.table))

    return {
        "event_recall": _ratio(g.n_found, g.n_faults),
        "asked_recall": _ratio(g.n_asked_found, g.n_asked),
        "precision": _ratio(g.n_true, g.n_true + g.n_false),
        "precision_once": _ratio(g.n_once, g.n_once + g.n_false),
        "alarms_per_machine_day": _ratio(g.n_true + g.n_false + g.n_excused, g.days),
        "false_per_machine_day": _ratio(g.n_false, g.days),
        "mcc": lambda w: dm.mcc(cells(w)),
        "f1": lambda w: dm.f1(cells(w)),
        "far": lambda w: dm.false_alarm_rate(cells(w)),
        "mar": lambda w: dm.missed_alarm_rate(cells(w)),
        "ap": lambda w: math.nan if g.surface is None else average_precision(g.surface, w),
        "vus_pr": lambda w: math.nan if g.surface is None else vus_pr(g.surface, w),
    }


def bootstrap(g: Grade, n_draws: int, seed: int) -> dict[str, tuple[float, float]]:
    """95 % intervals by resampling whole machines ``n_draws`` times (the cells of a machine are no independent draws).

    NaN for a measure that a draw leaves undefined more often than not.
    """
    n = len(g.days)
    rng = np.random.default_rng(seed)
    draws = [np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64) for _ in range(n_draws)]
    out = {}
    for name, measure in measures(g).items():
        values = np.array([measure(w) for w in draws])
        clean = values[np.isfinite(values)]
        low, high = np.quantile(clean, [0.025, 0.975]) if 2 * len(clean) > n_draws else (math.nan, math.nan)
        out[name] = (float(low), float(high))
    return out


class Row(NamedTuple):
    """A line of the table of detectors: shares with Wilson's interval, rates, delays, measures of the score."""

    event_recall: dm.Share
    asked_recall: dm.Share
    precision: dm.Share
    precision_once: dm.Share
    n_excused: int
    alarms_per_machine_day: float
    false_per_machine_day: float
    delay_median_h: float
    delay_p90_h: float
    mcc: float
    f1: float
    far: float
    mar: float
    ap: float
    vus_pr: float


def row(g: Grade) -> Row:
    """The grade of all machines together."""
    once = np.ones(len(g.days))
    values = {name: measure(once) for name, measure in measures(g).items()}
    total = {name: round(float(getattr(g, name).sum())) for name in (
        "n_found", "n_faults", "n_asked_found", "n_asked", "n_true", "n_false", "n_once", "n_excused")}  # fmt: skip
    delay_h = g.delay_ms / HOUR_MS
    return Row(
        dm.wilson(total["n_found"], total["n_faults"]),
        dm.wilson(total["n_asked_found"], total["n_asked"]),
        dm.wilson(total["n_true"], total["n_true"] + total["n_false"]),
        dm.wilson(total["n_once"], total["n_once"] + total["n_false"]),
        total["n_excused"],
        values["alarms_per_machine_day"],
        values["false_per_machine_day"],
        float(np.median(delay_h)) if len(delay_h) else math.nan,
        float(np.quantile(delay_h, 0.9)) if len(delay_h) else math.nan,
        values["mcc"],
        values["f1"],
        values["far"],
        values["mar"],
        g.ap,
        values["vus_pr"],
    )


class Gate(NamedTuple):
    """A demand on the rate of all alarms, on Wilson's lower bound of the precision, on the recall of asked faults."""

    most_alarms_per_machine_day: float
    least_precision_low: float
    least_recall: float


def gate(found: Row, demand: Gate) -> dict[str, bool]:
    """What of ``demand`` is met; what is not known (no alarm, no fault) is not met.

    The precision is the stricter of the two: alarms that repeat inside one episode count once.
    """
    low = min(found.precision.low, found.precision_once.low)
    return {
        "alarms_per_machine_day": found.alarms_per_machine_day <= demand.most_alarms_per_machine_day,
        "precision_low": low >= demand.least_precision_low,
        "recall": found.asked_recall.value >= demand.least_recall,
    }
