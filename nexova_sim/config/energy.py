"""The site that ``nexova energy`` schedules: machines, their power curves, tariff, and what its days are drawn from."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from nexova_sim.config.strict import Frac, Identifier, NonNegative, Positive, Strict

SHIFT_H = 8.0
MOST_MACHINES = 512
Hour = Annotated[int, Field(ge=0, le=23)]


class PowerCurve(Strict):
    """Electric power over rated power: fixed + (1 - fixed - square) u + square u^2 at load fraction u; and its heat."""

    fixed_frac: Frac
    square_frac: Frac
    rise_at_rated_k: Positive
    time_constant_h: Positive

    @model_validator(mode="after")
    def _rising(self) -> PowerCurve:
        if self.fixed_frac + self.square_frac > 1.0:
            raise ValueError("fixed_frac + square_frac must not exceed 1: power would fall where load rises")
        return self


class SiteMachine(Strict):
    """One machine of the site."""

    id: Identifier
    kind: Identifier
    rated_kw: Annotated[float, Field(gt=0.0, le=1e5)]


class DayTariff(Strict):
    """Time-of-use price: off-peak hours are fixed, the peak window of each day is drawn; factors may be negative."""

    price_usd_per_kwh: Positive = 0.12
    peak_factor: Annotated[float, Field(ge=-10.0, le=100.0)] = 1.5
    off_peak_factor: Annotated[float, Field(ge=-10.0, le=100.0)] = 0.8
    peak_start_hour: tuple[Hour, Hour] = (13, 17)
    peak_hours: tuple[Annotated[int, Field(ge=1, le=12)], Annotated[int, Field(ge=1, le=12)]] = (4, 6)
    off_peak_hours: list[Hour] = [22, 23, 0, 1, 2, 3, 4, 5]
    noise_frac: Annotated[float, Field(ge=0.0, le=1.0)] = 0.06
    noise_memory_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.95
    demand_usd_per_kw: NonNegative = 0.60
    contract_kw: Positive = 60.0

    @model_validator(mode="after")
    def _ordered(self) -> DayTariff:
        for name in ("peak_start_hour", "peak_hours"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} is [lowest, highest]")
        if self.peak_start_hour[0] < 6:
            raise ValueError("peak_start_hour must not begin before the day's first hour, 6")
        return self


class Production(Strict):
    """What the shifts must deliver, in hours at rated load of each machine, and what a machine may do."""

    quota_frac: tuple[NonNegative, NonNegative] = (0.4, 0.8)
    stock_h: NonNegative = 1.0
    buffer_h: NonNegative = 3.0
    load_frac: tuple[Positive, Positive] = (0.3, 1.1)
    min_up_steps: Annotated[int, Field(ge=1, le=32)] = 2
    min_down_steps: Annotated[int, Field(ge=1, le=32)] = 2
    start_usd_per_kw: NonNegative = 0.03
    shortage_usd_per_kwh: NonNegative = 0.6

    @model_validator(mode="after")
    def _possible(self) -> Production:
        if self.load_frac[0] > self.load_frac[1] or self.quota_frac[0] > self.quota_frac[1]:
            raise ValueError("load_frac and quota_frac are [lowest, highest]")
        if self.quota_frac[1] > self.load_frac[1]:
            raise ValueError(
                f"infeasible quota: quota_frac up to {self.quota_frac[1]} of a shift cannot be made at a load of at "
                f"most {self.load_frac[1]}; lower quota_frac or raise load_frac"
            )
        return self


class Heat(Strict):
    """Wear above ``warn_c`` is thermal fatigue of the twin priced by an overhaul; above ``trip_c`` a machine trips."""

    warn_c: float = 75.0
    trip_c: float = 85.0
    trip_hours: Positive = 1.0
    fatigue_per_k_h: NonNegative = 1e-4
    overhaul_usd: NonNegative = 6000.0
    start_above_ambient_k: NonNegative = 20.0


class Outages(Strict):
    """An unplanned outage of a machine: at most one a day."""

    share_frac: Frac = 0.3
    hours: tuple[Annotated[float, Field(ge=0.25, le=24.0)], Annotated[float, Field(ge=0.25, le=24.0)]] = (1.0, 3.0)

    @model_validator(mode="after")
    def _ordered(self) -> Outages:
        if self.hours[0] > self.hours[1]:
            raise ValueError("hours is [lowest, highest]")
        return self


class Surroundings(Strict):
    """Base load of the site and ambient temperature: a mean, a daily swing and a wandering part."""

    base_kw: NonNegative = 70.0
    base_swing_kw: NonNegative = 30.0
    base_noise_kw: NonNegative = 15.0
    base_memory_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.9
    base_least_kw: NonNegative = 10.0
    ambient_c: tuple[float, float] = (22.0, 32.0)
    ambient_swing_k: NonNegative = 4.0
    ambient_noise_k: NonNegative = 1.5
    ambient_memory_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.95


class SiteConfig(Strict):
    """A site (configs/energy/workshop.yaml): days of three shifts from 06:00 in steps of 15 minutes."""

    name: Identifier
    kinds: Annotated[dict[Identifier, PowerCurve], Field(min_length=1, max_length=32)]
    machines: Annotated[list[SiteMachine], Field(max_length=MOST_MACHINES)]
    tariff: DayTariff = DayTariff()
    production: Production = Production()
    heat: Heat = Heat()
    outages: Outages = Outages()
    surroundings: Surroundings = Surroundings()

    @model_validator(mode="after")
    def _consistent(self) -> SiteConfig:
        if not self.machines:
            raise ValueError("the site has no machines; there is nothing to schedule, list at least one")
        ids = [m.id for m in self.machines]
        doubled = sorted({i for i in ids if ids.count(i) > 1})
        if doubled:
            raise ValueError(f"machine ids must be unique, doubled: {', '.join(doubled)}")
        unknown = sorted({m.kind for m in self.machines} - set(self.kinds))
        if unknown:
            raise ValueError(
                f"machines of the kinds {', '.join(unknown)}, but 'kinds' has only: {', '.join(self.kinds)}"
            )
        return self
