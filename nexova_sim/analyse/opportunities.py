"""Energy-saving opportunities from hourly readings (platform document 3.4 and 4.3), each with a stated worth.

A finding needs a full learning window, and only what the readings show counts: a machine that is off is not oversized,
and an hour is a peak only when it exceeds the mean by a margin (a flat load has no peaks).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.config.opportunity import OpportunityConfig

HOURS_PER_YEAR = 8760.0
KINDS = ("OVERSIZING", "THERMAL_STRESS", "PEAK_SHIFTING")
ANALYSIS_FROM = 0.8  # share of the window from which the platform calls it the analysis phase
PHASES = ("collection", "analysis", "recommendation")


class Hours(NamedTuple):
    """Hourly readings of one machine, oldest first; every array (b,).

    ``power_kw`` and ``temp_c`` are means, NaN without readings; ``online_frac`` the share of readings with status
    ONLINE; ``hour`` the local hour of the day, 0..23.
    """

    power_kw: np.ndarray
    temp_c: np.ndarray
    online_frac: np.ndarray
    hour: np.ndarray


class Finding(NamedTuple):
    """One opportunity. ``metric`` is what was measured (share), ``hours`` the local hours it concerns (peaks only)."""

    type: str
    metric: float
    limit: float
    action: str
    saving_usd_per_year: float
    cost_usd: float
    payback_years: float | None
    confidence_frac: float
    hours: tuple[int, ...]


class Learning(NamedTuple):
    """How far the learning window of a machine is filled, and the findings once it is full."""

    n_hours: int
    progress_percent: float
    phase: str
    mean_kw: float
    findings: tuple[Finding, ...]


def phase_of(progress_frac: float) -> str:
    """The platform's phase (4.3): collection below 80 % of the window, analysis below 100 %, then recommendation."""
    return PHASES[(progress_frac >= ANALYSIS_FROM) + (progress_frac >= 1.0)]


def confidence(ceiling_frac: float, n_hours: int, evidence_hours: float) -> float:
    """``ceiling_frac`` times n / (n + evidence): grows with the hours seen, never beyond the ceiling."""
    return ceiling_frac * n_hours / (n_hours + evidence_hours)


def analyse_machine(hours: Hours, rated_kw: float, config: OpportunityConfig) -> Learning:
    """Learning progress and findings of one machine, largest saving first; ``rated_kw`` NaN when it is not known."""
    seen = np.isfinite(hours.power_kw)
    n_hours = int(seen.sum())
    window = Hours(*(a[seen][-config.window_hours :] for a in hours))
    progress = min(1.0, n_hours / config.window_hours)
    running = Hours(*(a[window.online_frac >= 0.5] for a in window))
    mean_kw = float(running.power_kw.mean()) if len(running.power_kw) else 0.0
    findings: list[Finding] = []
    if progress >= 1.0 and mean_kw > 0.0:
        found = (
            _oversizing(running, rated_kw, n_hours, config),
            _thermal_stress(running, n_hours, config),
            _peak_shifting(running, n_hours, config),
        )
        findings = sorted((f for f in found if f is not None), key=lambda f: -f.saving_usd_per_year)
    return Learning(n_hours, 100.0 * progress, phase_of(progress), mean_kw, tuple(findings))


def _worth(saving_usd: float, cost_usd: float) -> float | None:
    return cost_usd / saving_usd if saving_usd > 0.0 else None


def _running_hours_per_year(config: OpportunityConfig, running: Hours) -> float:
    """Running hours a year when the machine goes on as in its window."""
    return HOURS_PER_YEAR * min(1.0, len(running.power_kw) / config.window_hours)


def _oversizing(running: Hours, rated_kw: float, n_hours: int, config: OpportunityConfig) -> Finding | None:
    rule = config.oversizing
    mean_kw, max_kw = float(running.power_kw.mean()), float(running.power_kw.max())
    if not mean_kw / max_kw < rule.ratio_frac:
        return None
    saving = mean_kw * rule.downsize_frac * _running_hours_per_year(config, running) * config.price_usd_per_kwh
    size_kw = rated_kw if np.isfinite(rated_kw) else max_kw
    cost = rule.cost_usd_per_kw * size_kw * (1.0 - rule.downsize_frac)
    action = f"replace by a machine {100.0 * rule.downsize_frac:.0f} % smaller, or consolidate its load"
    sure = confidence(rule.confidence_frac, n_hours, config.evidence_hours)
    return Finding(KINDS[0], mean_kw / max_kw, rule.ratio_frac, action, saving, cost, _worth(saving, cost), sure, ())


def _thermal_stress(running: Hours, n_hours: int, config: OpportunityConfig) -> Finding | None:
    rule = config.thermal_stress
    known = np.isfinite(running.temp_c)
    if not known.any():
        return None
    share = float((running.temp_c[known] > rule.limit_c).mean())
    if not share > rule.share_frac:
        return None
    mean_kw = float(running.power_kw.mean())
    saving = mean_kw * rule.saving_frac * _running_hours_per_year(config, running) * config.price_usd_per_kwh
    action = f"improve the cooling: cut the temperature rise by {100.0 * rule.rise_cut_frac:.0f} %"
    sure = confidence(rule.confidence_frac, n_hours, config.evidence_hours)
    return Finding(KINDS[1], share, rule.share_frac, action, saving, rule.cost_usd, _worth(saving, rule.cost_usd),
                   sure, ())  # fmt: skip


def peak_hours(running: Hours, margin_frac: float) -> tuple[int, ...]:
    """Local hours of the day whose mean power exceeds the mean over all hours of the day by ``margin_frac``."""
    sums = np.bincount(running.hour, running.power_kw, 24)
    counts = np.bincount(running.hour, minlength=24)
    there = np.flatnonzero(counts)
    by_hour = sums[there] / counts[there]
    return tuple(int(h) for h in there[by_hour > (1.0 + margin_frac) * by_hour.mean()])


def _peak_shifting(running: Hours, n_hours: int, config: OpportunityConfig) -> Finding | None:
    rule = config.peak_shifting
    peaks = peak_hours(running, rule.margin_frac)
    if not peaks:
        return None
    at_peak = np.isin(running.hour, peaks)
    excess = float(running.power_kw[at_peak].mean() / running.power_kw.mean() - 1.0)
    moved_kw = rule.shift_frac * float(running.power_kw[at_peak].mean())
    spread = config.price_usd_per_kwh * (config.peak_factor - config.off_peak_factor)
    saving = moved_kw * len(peaks) * rule.days_per_year * spread
    action = f"shift {moved_kw:.1f} kW from {len(peaks)} hours of the day to off-peak hours"
    sure = confidence(rule.confidence_frac, n_hours, config.evidence_hours)
    return Finding(KINDS[2], excess, rule.margin_frac, action, saving, rule.cost_usd, _worth(saving, rule.cost_usd),
                   sure, peaks)  # fmt: skip
