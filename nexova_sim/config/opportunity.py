"""Settings of ``nexova energy opportunities``: limits, prices, costs, and what each measure changes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nexova_sim.config.strict import Frac, NonNegative, Positive, Strict

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Oversizing(Strict):
    """Mean over largest hourly power below ``ratio_frac``: a machine smaller by ``downsize_frac`` would do."""

    ratio_frac: Share = 0.4
    downsize_frac: Share = 0.25
    cost_usd_per_kw: NonNegative = 150.0
    confidence_frac: Frac = 0.92


class ThermalStress(Strict):
    """More than ``share_frac`` of the running hours above ``limit_c``: better cooling, which cuts the rise."""

    limit_c: float = 75.0
    share_frac: Frac = 0.3
    saving_frac: Frac = 0.05
    rise_cut_frac: Share = 0.20
    cost_usd: NonNegative = 5000.0
    confidence_frac: Frac = 0.87


class PeakShifting(Strict):
    """Hours of the day above the mean by ``margin_frac``: move ``shift_frac`` of their load to cheap hours."""

    margin_frac: NonNegative = 0.10
    shift_frac: Share = 0.20
    days_per_year: Annotated[float, Field(gt=0.0, le=366.0)] = 250.0
    cost_usd: NonNegative = 1500.0
    confidence_frac: Frac = 0.78


class OpportunityConfig(Strict):
    """What counts as an opportunity (configs/energy/opportunities.yaml); the factors are those of the tariff."""

    price_usd_per_kwh: Positive = 0.12
    peak_factor: Positive = 1.5
    off_peak_factor: Positive = 0.8
    window_hours: Annotated[int, Field(ge=24, le=100_000)] = 500
    oversizing: Oversizing = Oversizing()
    thermal_stress: ThermalStress = ThermalStress()
    peak_shifting: PeakShifting = PeakShifting()
    evidence_hours: Positive = 125.0
