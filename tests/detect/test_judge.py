"""Grades, trivial rows, bootstrap and gate on an exam small enough to work out by hand."""

import math

import numpy as np
import pytest
from tolerances import REORDER, STAT

from nexova_sim.detect.cells import Batch, covered, fold
from nexova_sim.detect.episodes import Rules, Spans, spans_of
from nexova_sim.detect.judge import Answer, Exam, Gate, average_precision, bootstrap, gate, grade, measures, row
from nexova_sim.detect.trivial import always, at_random, best_clock, best_threshold, never, position_ms

HOUR = 3_600_000
NOTHING = spans_of([])


def exam_of(faults, n_machines=4, hours=48, values=None, asked=None):
    """Machines with a reading an hour and one channel; nothing is skipped."""
    machine = np.repeat(np.arange(n_machines), hours)
    time_ms = np.tile(np.arange(hours) * HOUR, n_machines)
    values = np.zeros((1, len(machine))) if values is None else values
    cells = fold([Batch(machine, time_ms, np.ones(len(machine), bool), values)], HOUR, n_machines, 1)
    spans = spans_of(faults)
    judged = spans_of([(m, 0, hours * HOUR) for m in range(n_machines)])
    asked = np.ones(len(faults), bool) if asked is None else np.array(asked)
    return Exam(cells, covered(cells, spans), spans, asked, NOTHING, judged, Rules(0, 2 * HOUR), (0, 1, 2))


def answer_of(exam, alarms):
    spans = spans_of(alarms)
    flag = covered(exam.cells, spans)
    return Answer(flag.astype(float), flag, spans)


FAULTS = [(0, 10 * HOUR, 20 * HOUR), (1, 5 * HOUR, 6 * HOUR), (2, 30 * HOUR, 40 * HOUR)]


def test_grade_by_hand():
    exam = exam_of(FAULTS, asked=[True, False, True])
    alarms = [(0, 12 * HOUR, 14 * HOUR), (0, 16 * HOUR, 17 * HOUR), (1, 20 * HOUR, 22 * HOUR)]
    got = row(grade(exam, answer_of(exam, alarms)))
    assert got.event_recall[:2] == (1, 3) and got.asked_recall[:2] == (1, 2)
    assert got.precision[:2] == (2, 3) and got.precision_once[:2] == (1, 2) and got.n_excused == 0
    np.testing.assert_allclose(got.alarms_per_machine_day, 3 / 8, **REORDER)
    np.testing.assert_allclose(got.false_per_machine_day, 1 / 8, **REORDER)
    assert got.delay_median_h == got.delay_p90_h == 2.0
    tp, fp, fn, tn = 3, 2, 18, 192 - 23
    np.testing.assert_allclose(got.far, fp / (fp + tn), **REORDER)
    np.testing.assert_allclose(got.mar, fn / (fn + tp), **REORDER)
    np.testing.assert_allclose(got.f1, 2 * tp / (2 * tp + fp + fn), **REORDER)
    # AP of a score of two levels: precision times recall of the upper one, prevalence for the rest.
    ap = 3 / 5 * 3 / 21 + 21 / 192 * 18 / 21
    np.testing.assert_allclose(got.ap, ap, **REORDER)


def test_a_score_is_graded_on_demand():
    exam = exam_of(FAULTS)
    full, brief = grade(exam, never(exam.cells)), grade(exam, never(exam.cells), with_score=False)
    assert brief.surface is None and math.isnan(brief.ap) and math.isnan(row(brief).vus_pr)
    prevalence = 21 / 192
    np.testing.assert_allclose(average_precision(full.surface, np.ones(4)), prevalence, **REORDER)
    np.testing.assert_allclose(measures(full)["vus_pr"](np.ones(4)), row(full).vus_pr, **REORDER)


def test_trivial_detectors_have_the_numbers_they_must():
    exam = exam_of(FAULTS)
    every = row(grade(exam, always(exam.cells)))
    assert every.event_recall.k == 0 and every.precision[:2] == (0, 4)  # raised before every fault: no credit
    assert every.far == 1.0 and every.mar == 0.0 and every.mcc == 0.0
    none = row(grade(exam, never(exam.cells)))
    assert none.precision.n == 0 and none.mar == 1.0 and none.alarms_per_machine_day == 0.0
    np.testing.assert_allclose([every.ap, none.ap], 21 / 192, **REORDER)


def test_random_alarms_are_right_as_often_as_faults_take_time():
    exam = exam_of([(m, 10 * HOUR, 20 * HOUR) for m in range(40)], n_machines=40)
    like = spans_of([(0, 0, HOUR)] * 50)
    rng = np.random.default_rng(2)
    draws = [row(grade(exam, at_random(exam.cells, like, rng), with_score=False)) for _ in range(60)]
    assert all(d.precision.n == 50 for d in draws)
    share = 12 / 48  # ten hours and two of tail, of 48
    error = math.sqrt(share * (1 - share) / (50 * 60))
    assert abs(np.mean([d.precision.value for d in draws]) - share) < STAT * error
    assert at_random(exam.cells, NOTHING, rng).flag.sum() == 0


def test_best_threshold_finds_the_level_that_separates():
    exam = exam_of(FAULTS)
    values = np.where(exam.label, -3.0, 1.0)[None] + np.linspace(0, 0.1, 192)
    exam = exam_of(FAULTS, values=values)
    best = best_threshold(exam.cells, exam.label, ["power_kw"])
    got = row(grade(exam, best.answer))
    assert got.mcc > 0.95 and got.ap == 1.0 and best.words.startswith("power_kw below")
    unread = exam_of(FAULTS, values=np.full((1, 192), np.nan))
    assert not best_threshold(unread.cells, unread.label, ["power_kw"]).answer.flag.any()


def test_best_clock_finds_a_fault_that_always_comes_at_the_same_time():
    exam = exam_of([(m, 12 * HOUR, 24 * HOUR) for m in range(4)], hours=60)
    best = best_clock(exam.cells, exam.label)
    got = row(grade(exam, best.answer))
    assert got.mcc == 1.0 and got.event_recall.k == 4 and best.words == "from 12 h to 24 h after the start"
    assert position_ms(exam.cells)[:2].tolist() == [0, HOUR]
    empty = fold([], HOUR, 2, 1)
    assert best_clock(empty, np.empty(0, bool)).words == "no cells"


def test_bootstrap_resamples_machines_and_not_cells():
    faults = [(m, 10 * HOUR, 20 * HOUR) for m in range(30)]
    exam = exam_of(faults, n_machines=30)
    found = [(m, 12 * HOUR, 13 * HOUR) for m in range(15)]
    g = grade(exam, answer_of(exam, found))
    interval = bootstrap(g, 400, 7)
    low, high = interval["event_recall"]
    # Half of 30 machines: binomial, standard error sqrt(0.25/30) = 0.091.
    assert abs((high - low) / 2 / 1.96 - math.sqrt(0.25 / 30)) < 0.02 and low < 0.5 < high
    assert bootstrap(g, 400, 7) == interval != bootstrap(g, 400, 8)
    assert interval["precision"] == (1.0, 1.0)
    nothing = bootstrap(grade(exam, never(exam.cells)), 40, 1)
    assert math.isnan(nothing["precision"][0])


@pytest.mark.parametrize(("n_good", "n_bad", "met"), [(60, 0, True), (60, 4, False), (20, 0, False)])
def test_gate_takes_the_lower_bound(n_good, n_bad, met):
    exam = exam_of([(m, 10 * HOUR, 20 * HOUR) for m in range(60)], n_machines=70, hours=24 * 30)
    alarms = [(m, 12 * HOUR, 13 * HOUR) for m in range(n_good)] + [(m, 30 * HOUR, 31 * HOUR) for m in range(n_bad)]
    got = gate(row(grade(exam, answer_of(exam, alarms))), Gate(0.05, 0.9, 0.8))
    assert got["precision_low"] == met and got["recall"] == (n_good >= 48) and got["alarms_per_machine_day"]


def test_gate_counts_repeated_alarms_once():
    exam = exam_of([(0, 10 * HOUR, 400 * HOUR)], n_machines=1, hours=24 * 30)
    chatter = [(0, h * HOUR, (h + 1) * HOUR) for h in range(12, 300, 4)]
    got = row(grade(exam, answer_of(exam, chatter)))
    assert got.precision.low > 0.9 > got.precision_once.low
    assert not gate(got, Gate(100.0, 0.9, 0.8))["precision_low"]
    silent = gate(row(grade(exam, never(exam.cells))), Gate(0.05, 0.9, 0.8))
    assert silent == {"alarms_per_machine_day": True, "precision_low": False, "recall": False}


def test_spans_outside_the_exam_do_not_count():
    exam = exam_of(FAULTS)
    late = Spans(np.array([0]), np.array([100 * HOUR]), np.array([101 * HOUR]))
    got = row(grade(exam, Answer(np.zeros(192), np.zeros(192, bool), late)))
    assert got.precision.n == 0 and got.alarms_per_machine_day == 0.0
