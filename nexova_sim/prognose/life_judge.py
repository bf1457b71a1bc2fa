"""The evaluation of remaining-life forecasts: every method and baseline in every table, capped and uncapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.config.rul import Judging, RulConfig
from nexova_sim.prognose.life_metrics import (
    Estimate,
    Rules,
    brier,
    per_cut,
    prognostic_horizon,
    reliability,
    summarise,
)
from nexova_sim.prognose.lives import take
from nexova_sim.prognose.prognosis import Forecast, Study, age_in_life_h, duty_frac, outcomes
from nexova_sim.prognose.survival import known_targets

_NEAR_LIFE_FRAC = 0.05
_LEAST_CUTS = 3


class Answers(NamedTuple):
    """What is known of the true remaining life at n cuts: ``rul_h`` (n,), NaN unknown, ``weight`` (n,)."""

    rul_h: np.ndarray
    weight: np.ndarray


def rules_of(judging: Judging) -> Rules:
    """The part of the configuration that the metrics need."""
    return Rules(judging.alpha_frac, judging.least_in_frac, judging.coverage_frac, judging.phm08_h, judging.n_boot)


def answers_of(study: Study, truth_h: np.ndarray | None, cap_h: float | None) -> Answers:
    """True remaining life, from truth where there is any, else from observed failures, censored lives weighted in."""
    if truth_h is None:
        return Answers(*known_targets(study.cuts.target_h, study.cuts.seen_h, cap_h))
    known = np.isfinite(truth_h)
    return Answers(truth_h if cap_h is None else np.minimum(truth_h, cap_h), known.astype(float))


def life_groups(study: Study, rul_h: np.ndarray, config: RulConfig) -> dict[str, np.ndarray]:
    """Row numbers of the cuts nearest to each point of life (age over age plus true rest), one per life at most."""
    age = age_in_life_h(study)
    rest = rul_h * duty_frac(study.histories, study.cuts, config.future.past_h)
    share = age / np.maximum(age + rest, 1e-9)
    out = {}
    for point in config.judging.life_points:
        away = np.abs(share - point)
        order = np.lexsort((away, study.cuts.life))
        life = study.cuts.life[order]
        first = order[np.r_[True, life[1:] != life[:-1]]] if len(order) else order
        out[f"{round(100 * point)} % of life"] = np.sort(first[away[first] <= _NEAR_LIFE_FRAC])
    return out


def _row(
    forecast: Forecast, study: Study, answers: Answers, rows: np.ndarray, judging: Judging, cap_h: float | None
) -> dict[str, Any]:
    rows = rows[np.isfinite(answers.rul_h[rows]) & (answers.weight[rows] > 0.0)]
    top = np.inf if cap_h is None else cap_h
    columns = per_cut(np.minimum(forecast.point_h[rows], top), np.minimum(forecast.quantile_h[rows], top),
                      answers.rul_h[rows], rules_of(judging))  # fmt: skip
    machine = study.cuts.machine[rows]
    found = summarise(columns, machine, answers.weight[rows], rules_of(judging))
    return {
        "cuts": len(rows),
        "machines": len(np.unique(machine)),
        "phm08_sum": float(columns["phm08"].sum()) if len(rows) else float("nan"),
        **{name: _plain(value) for name, value in found.items()},
    }


def _plain(value: Estimate) -> dict[str, float]:
    return value._asdict()


def _horizon(forecast: Forecast, study: Study, rul_h: np.ndarray, judging: Judging) -> dict[str, Any]:
    """Mean prognostic horizon over lives that were asked at least three times."""
    rows = np.flatnonzero(np.isfinite(rul_h))
    lives, counts = np.unique(study.cuts.life[rows], return_counts=True)
    rows = rows[np.isin(study.cuts.life[rows], lives[counts >= _LEAST_CUTS])]
    if not len(rows):
        return {**_plain(Estimate(np.nan, np.nan, np.nan)), "lives": 0}
    cuts = take(study.cuts, rows)
    begun = (cuts.time_ms - study.lives.begin_ms[cuts.life]) / 3_600_000.0
    rules = rules_of(judging)
    which, horizon = prognostic_horizon(forecast.quantile_h[rows], rul_h[rows], cuts.life, begun + rul_h[rows], rules)
    machine = study.lives.machine[which]
    found = summarise({"horizon_h": horizon}, machine, np.ones(len(which)), rules)
    return {**_plain(found["horizon_h"]), "lives": len(which)}


def _chance(forecast: Forecast, study: Study, truth_h: np.ndarray | None, judging: Judging) -> dict[str, Any]:
    """Brier score and reliability of the failure probability over the horizon, raw and calibrated."""
    if truth_h is None:
        failed, weight = outcomes(study.cuts, judging.horizon_h)
    else:
        known = np.isfinite(truth_h)
        failed, weight = np.where(known, (truth_h <= judging.horizon_h).astype(float), np.nan), known.astype(float)
    rows = np.flatnonzero(np.isfinite(failed) & (weight > 0.0))
    if not len(rows):
        return {"cuts": 0, "failures": 0}
    failed, weight, machine = failed[rows], weight[rows], study.cuts.machine[rows]
    base = float(np.average(failed, weights=weight))
    columns = {
        "raw": brier(forecast.p_raw[rows], failed),
        "calibrated": brier(forecast.p_fail[rows], failed),
        "base_rate": brier(np.full(len(rows), base), failed),
    }
    found = summarise(columns, machine, weight, rules_of(judging))
    curve = {
        name: {key: values.tolist() for key, values in reliability(p[rows], failed, weight)._asdict().items()}
        for name, p in (("raw", forecast.p_raw), ("calibrated", forecast.p_fail))
    }
    return {
        "cuts": len(rows),
        "failures": int(failed.sum()),
        "base_rate": base,
        "brier": {name: _plain(value) for name, value in found.items()},
        "reliability": curve,
    }


def judge(
    study: Study, forecasts: Mapping[str, Forecast], truth_h: np.ndarray | None, config: RulConfig
) -> dict[str, Any]:
    """The evaluation as JSON-like values: per method the tables ``uncapped`` and ``capped``, horizon and chance."""
    judging = config.judging
    whole = answers_of(study, truth_h, None)
    groups = {"all": np.arange(len(study.cuts.life)), **life_groups(study, whole.rul_h, config)}
    out: dict[str, Any] = {}
    for name, forecast in forecasts.items():
        tables = {}
        for label, cap in (("uncapped", None), ("capped", judging.cap_h)):
            answers = answers_of(study, truth_h, cap)
            tables[label] = {
                group: _row(forecast, study, answers, rows, judging, cap) for group, rows in groups.items()
            }
        out[name] = {
            **tables,
            "prognostic_horizon_h": _horizon(forecast, study, whole.rul_h, judging),
            "chance": _chance(forecast, study, truth_h, judging),
        }
    lives = study.lives
    return {
        "methods": out,
        "truth": "hidden state of the dataset" if truth_h is not None else "observed failures",
        "cuts": len(study.cuts.life),
        "lives": len(np.unique(study.cuts.life)),
        "failures": int(lives.is_failure.sum()),
        "censored": int((~lives.is_failure).sum()),
        "cap_h": judging.cap_h,
        "horizon_h": judging.horizon_h,
        "coverage_frac": judging.coverage_frac,
        "alpha_frac": judging.alpha_frac,
    }
