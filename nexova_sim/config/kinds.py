"""Machine kinds and fault kinds as data: YAML files, every number with its unit in the key and its source beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nexova_sim.config.strict import Frac, Identifier, NonNegative, Positive, Strict

Component = Literal["bearing", "thermal", "electrical", "life", "random", "process"]
Channel = Literal["power_kw", "temperature_c", "vibration_mm_s"]


class Thermal(Strict):
    """One-node thermal model. ``loss`` heating follows fixed + (1-fixed) x^2 instead of x."""

    rise_at_rated_k: Positive
    time_constant_min: Positive
    heating: Literal["power", "loss"] = "power"
    fixed_loss_frac: Frac = 0.35


class Vibration(Strict):
    """v = rated x + heat_gain max(0, T - knee) + wear_gain wear."""

    rated_mm_s: Positive
    heat_gain_mm_s_per_k: NonNegative = 0.05
    heat_knee_c: float = 70.0
    wear_gain_mm_s: Positive = 2.0


class Damage(Strict):
    """Damage per running hour; ``montsinger_life_h`` and ``bearing_exponent`` switch on sourced alternatives."""

    fatigue_per_k_h: NonNegative = 1e-4
    fatigue_knee_c: float = 75.0
    wear_per_mm_s_h: Positive = 1e-4
    wear_noise_per_sqrt_h: NonNegative = 0.0
    electrical_per_h: NonNegative = 1e-5
    rated_life_h: Positive = 20000.0
    montsinger_life_h: Positive | None = None
    montsinger_reference_c: float = 130.0
    montsinger_halving_k: Positive = 10.0
    bearing_exponent: Annotated[float, Field(ge=1.0, le=4.0)] = 1.0
    bearing_reference_frac: Positive = 0.7


class Hazard(Strict):
    """Weibull hazard of random failures; no scale = none."""

    weibull_shape: Positive = 1.0
    weibull_scale_h: Positive | None = None


class Cycle(Strict):
    """Load/unload cycling around the demanded mean load."""

    period_min: Positive
    loaded_frac: Positive
    unloaded_frac: NonNegative


class Idle(Strict):
    """Idling while on: a share of the quarter hours at a low load."""

    share_frac: Frac
    load_frac: NonNegative


class Duty(Strict):
    """When and how much a kind runs: around the clock with demand, or in the factory's shifts."""

    follows: Literal["demand", "shifts"]
    shifts: list[Identifier] = []
    hour_frac: Annotated[list[NonNegative], Field(min_length=24, max_length=24)] | None = None
    weekend_frac: NonNegative = 1.0
    variation_frac: Annotated[float, Field(ge=0.0, le=0.5)] = 0.06
    variation_hours: Positive = 2.0
    cycle: Cycle | None = None
    idle: Idle | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Duty:
        if self.follows == "shifts" and not self.shifts:
            raise ValueError("'follows: shifts' needs the list 'shifts' of shift names")
        if self.cycle and self.cycle.loaded_frac <= self.cycle.unloaded_frac:
            raise ValueError("cycle: loaded_frac must exceed unloaded_frac")
        return self


class Sensor(Strict):
    """Noise of a sensor: a fixed part, a part proportional to the value, and the resolution it reports in."""

    noise: NonNegative = 0.0
    noise_frac: NonNegative = 0.0
    resolution: Annotated[float, Field(gt=0.0, le=1.0)]

    @model_validator(mode="after")
    def _decimal(self) -> Sensor:
        per_unit = 1.0 / self.resolution
        if abs(per_unit - round(per_unit)) > 1e-6 * per_unit or per_unit > 10_000:
            raise ValueError(f"resolution must be 1/n with n an integer up to 10000, got {self.resolution}")
        return self


class Sensors(Strict):
    """The four sensors of a machine, in the units of their channels."""

    power_kw: Sensor = Sensor(noise_frac=0.10, resolution=0.01)
    temperature_c: Sensor = Sensor(noise=3.0, resolution=0.1)
    vibration_mm_s: Sensor = Sensor(noise=0.3, resolution=0.01)
    runtime_h: Sensor = Sensor(resolution=0.1)


class Service(Strict):
    """What maintenance renews: planned service, and the repair after each failure event."""

    planned_restores: list[Component] = ["bearing", "random"]
    repairs: dict[Literal["bearing", "thermal", "electrical", "end_of_life", "random"], list[Component]] = {
        "bearing": ["bearing"],
        "thermal": ["thermal"],
        "electrical": ["electrical"],
        "end_of_life": ["bearing", "thermal", "electrical", "life", "random"],
        "random": ["random"],
    }
    response_h: NonNegative = 1.0


class Costs(Strict):
    """Money and hours of stops."""

    lost_production_usd_per_h: NonNegative
    planned_usd: NonNegative
    planned_h: Positive
    failure_usd: NonNegative
    failure_h: Positive


class KindConfig(Strict):
    """A machine kind (a row of MODEL 1's table)."""

    kind: Identifier
    title: str
    rated_kw: Positive
    nominal_load_frac: Positive
    standby_frac: Frac = 0.02
    thermal: Thermal
    vibration: Vibration
    damage: Damage = Damage()
    hazard: Hazard = Hazard()
    duty: Duty
    sensors: Sensors = Sensors()
    service: Service = Service()
    costs: Costs
    sources: list[str] = []


class FaultEffect(Strict):
    """What a fault of severity 1 does; at severity s each number is scaled by s."""

    wear_per_h: NonNegative = 0.0
    fatigue_per_h: NonNegative = 0.0
    cooling_loss_frac: Annotated[float, Field(ge=0.0, le=0.95)] = 0.0
    load_gain_frac: NonNegative = 0.0
    spike_frac: NonNegative = 0.0
    vibration_mm_s: NonNegative = 0.0


class FaultKind(Strict):
    """A fault kind: physical (``effect``) or of a sensor (``sensor``), with its default rate, duration and severity."""

    title: str
    component: Component = "process"
    effect: FaultEffect | None = None
    sensor: Literal["stuck", "drift", "dropout", "spike", "missing"] | None = None
    channels: list[Channel] = []
    rate_per_year: NonNegative
    hours: tuple[Positive, Positive]
    severity: tuple[Frac, Frac] = (0.1, 1.0)

    @model_validator(mode="after")
    def _one_nature(self) -> FaultKind:
        if (self.effect is None) == (self.sensor is None):
            raise ValueError("a fault kind has either 'effect' (physical) or 'sensor'")
        if self.hours[0] > self.hours[1] or self.severity[0] > self.severity[1]:
            raise ValueError("'hours' and 'severity' are [lowest, highest]")
        if self.sensor and self.sensor != "missing" and not self.channels:
            raise ValueError("a sensor fault needs 'channels'")
        return self


class FaultCatalogue(Strict):
    """All fault kinds by name (configs/fault/*.yaml)."""

    faults: dict[Identifier, FaultKind]
