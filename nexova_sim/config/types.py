"""The fleet configuration: factories, machines, faults, maintenance, time grid. What ``nexova simulate`` reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nexova_sim.config.kinds import FaultKind, KindConfig
from nexova_sim.config.strict import Day, Frac, Identifier, Moment, NonNegative, Positive, Strict

LATEST_YEAR = 2200


class Shift(Strict):
    """A shift in local time; ``end`` may be past midnight (end <= start)."""

    name: Identifier
    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    start: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    end: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Calendar(Strict):
    """Working time of a factory."""

    shifts: list[Shift] = []
    holidays: list[Day] = []


class Climate(Strict):
    """Ambient temperature; what is left out is estimated from the latitude. ``csv`` replaces all by hourly values."""

    mean_c: float | None = None
    annual_amplitude_k: NonNegative | None = None
    daily_amplitude_k: NonNegative | None = None
    variation_k: NonNegative = 3.0
    variation_hours: Positive = 48.0
    indoor_offset_k: float = 8.0
    indoor_damping_frac: Frac = 0.5
    csv: str | None = None


class Demand(Strict):
    """Demand of a factory as a factor on the load of machines that follow demand."""

    annual_amplitude_frac: Frac = 0.05
    peak_day: Annotated[int, Field(ge=1, le=366)] = 30
    variation_frac: Annotated[float, Field(ge=0.0, le=0.5)] = 0.04
    variation_hours: Positive = 72.0


class Tariff(Strict):
    """Energy price of a factory; the peak and off-peak factors apply in their local hours."""

    price_usd_per_kwh: NonNegative = 0.12
    peak_factor: NonNegative = 1.5
    off_peak_factor: NonNegative = 0.8
    peak_hours: list[Annotated[int, Field(ge=0, le=23)]] = [8, 9, 10, 11, 17, 18, 19, 20]
    off_peak_hours: list[Annotated[int, Field(ge=0, le=23)]] = [22, 23, 0, 1, 2, 3, 4, 5]


class Factory(Strict):
    """A site and the number of machines of each kind on it."""

    id: Identifier
    name: Annotated[str, Field(max_length=200)] = ""
    latitude_deg: Annotated[float, Field(ge=-90.0, le=90.0)]
    longitude_deg: Annotated[float, Field(ge=-180.0, le=180.0)]
    timezone: str = "UTC"
    calendar: Calendar = Calendar()
    climate: Climate = Climate()
    demand: Demand = Demand()
    tariff: Tariff = Tariff()
    machines: dict[Identifier, Annotated[int, Field(ge=0, le=100_000)]]


class ScheduledFault(Strict):
    """A fault at a given time on a given machine."""

    machine: Identifier
    fault: Identifier
    channel: Literal["power_kw", "temperature_c", "vibration_mm_s"] | None = None
    onset_h: NonNegative
    hours: Positive
    severity: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0


class FaultPlanConfig(Strict):
    """Random faults at the catalogue's rates times ``rate_factor``, plus scheduled ones."""

    random: bool = True
    rate_factor: NonNegative = 1.0
    only: list[Identifier] | None = None
    scheduled: list[ScheduledFault] = []


class Intervention(Strict):
    """A decided action on one machine: MAINTENANCE renews ``restores``, OFFLINE only stops it."""

    machine: Identifier
    action: Literal["MAINTENANCE", "OFFLINE"]
    at_h: NonNegative
    hours: Positive
    restores: list[Literal["bearing", "thermal", "electrical", "life", "random", "process"]] = []


class Maintenance(Strict):
    """Planned service by calendar interval, and what happens after a failure."""

    planned_interval_days: Positive | None = 180.0
    on_failure: Literal["repair", "leave"] = "repair"
    interventions: list[Intervention] = []


class Output(Strict):
    """How the dataset is laid out on disk."""

    partition: Literal["auto", "day", "month"] = "auto"
    row_group_rows: Annotated[int, Field(ge=1024, le=4_194_304)] = 262_144
    compression_level: Annotated[int, Field(ge=1, le=19)] = 1


class FleetConfig(Strict):
    """A fleet to simulate. Times are UTC; ``start`` is the timestamp of the first reading."""

    name: Identifier
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    start: Moment
    days: Annotated[float, Field(gt=0.0, le=36_525.0)]
    dt_s: Annotated[int, Field(ge=1, le=3600)] = 60
    load_interval_s: Annotated[int, Field(ge=1, le=3600)] = 300
    truth_interval_s: Annotated[int, Field(ge=1, le=86_400)] = 3600
    physics: Literal["plant", "seed"] = "plant"
    build_spread_frac: Annotated[float, Field(ge=0.0, le=0.3)] = 0.05
    start_age_frac: tuple[Frac, Frac] = (0.0, 0.95)
    fault_catalogue: str = "configs/fault/default.yaml"
    kind_folder: str = "configs/kind"
    factories: Annotated[list[Factory], Field(min_length=1, max_length=1000)]
    faults: FaultPlanConfig = FaultPlanConfig()
    maintenance: Maintenance = Maintenance()
    output: Output = Output()

    @field_validator("start")
    @classmethod
    def _utc(cls, value: datetime) -> datetime:
        # The year first: at the ends of the calendar a change of zone overflows.
        if value.microsecond or not 1970 <= value.year <= LATEST_YEAR or value.timestamp() < 0:
            raise ValueError(f"must be a whole second between 1970 and {LATEST_YEAR}")
        return value.astimezone(UTC)

    @model_validator(mode="after")
    def _consistent(self) -> FleetConfig:
        if max(self.dt_s, self.load_interval_s) % min(self.dt_s, self.load_interval_s):
            raise ValueError(
                f"dt_s ({self.dt_s}) must divide load_interval_s ({self.load_interval_s}) or be a multiple of it; "
                "choose dt_s from 1, 2, 5, 10, 15, 20, 30, 60, 150, 300, 600, 900, 1800, 3600"
            )
        if self.truth_interval_s % self.slot_s or 86_400 % self.slot_s:
            raise ValueError(
                f"truth_interval_s ({self.truth_interval_s}) and a day must be multiples of {self.slot_s} s"
            )
        if self.start.timestamp() % self.slot_s:
            raise ValueError(f"start must fall on a multiple of {self.slot_s} s")
        ids = [f.id for f in self.factories]
        doubled = sorted({i for i in ids if ids.count(i) > 1})
        if doubled:
            raise ValueError(f"factory ids must be unique, doubled: {', '.join(doubled)}")
        if self.start_age_frac[0] > self.start_age_frac[1]:
            raise ValueError("start_age_frac is [lowest, highest]")
        if self.n_machines == 0:
            raise ValueError("the fleet has no machines; give at least one factory a count above 0")
        if self.n_machines > 100_000:
            raise ValueError(f"the fleet has {self.n_machines} machines; at most 100000 are supported")
        if round(self.days * 86_400) < self.slot_s:
            raise ValueError(f"days ({self.days}) is shorter than one slot of {self.slot_s} s")
        return self

    @property
    def slot_s(self) -> int:
        """Seconds over which the inputs of a machine are constant."""
        return max(self.dt_s, self.load_interval_s)

    @property
    def n_slots(self) -> int:
        """Number of whole slots in the span."""
        return round(self.days * 86_400) // self.slot_s

    @property
    def n_machines(self) -> int:
        """Number of machines of the fleet."""
        return sum(sum(f.machines.values()) for f in self.factories)


class ResolvedFleet(Strict):
    """A fleet with its kinds and fault catalogue read in: everything a simulation depends on, in one value."""

    fleet: FleetConfig
    kinds: dict[str, KindConfig]
    fault_kinds: dict[str, FaultKind]
    weather: dict[str, list[float]] = {}
