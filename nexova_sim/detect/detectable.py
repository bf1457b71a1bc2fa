"""How large a fault is against the noise of what is read: from the machine kinds and the fault catalogue alone.

The *effect* of a fault is the shift of a channel's mean that it causes while the machine runs, in standard deviations
of that mean on a healthy machine. The mean is over the time the effect lasts at a stretch, at most an hour (an hourly
mean; a power surge lasts one load interval). With n readings in that time, at nominal load x, P = rated x:
    power        sd^2 = P^2 (noise^2/n + duty variation^2 + demand variation^2 + idling^2)
    temperature  sd^2 = noise^2/n + (R x power noise)^2/n + (weather variation indoors)^2
    vibration    sd^2 = noise^2/n + (v x power noise)^2/n
so what the load explains of temperature and vibration is taken out, and the error of reading the load is put in.
A fault is *detectable* when its effect is at least ``least_sd`` in at least ``least_hours`` running hours. The bar of
5: 0.05 alarms per machine-day over three channels and 24 hours a day leave a chance of 7e-4 per channel and hour, which
is 3.2 sd; finding nine of ten takes another 1.3 sd; together 4.5, rounded up. It was set before any detector was run.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from nexova_sim.config.kinds import FaultKind, KindConfig, Sensor
from nexova_sim.config.types import Factory

HOUR_S = 3600.0


class Noise(NamedTuple):
    """Standard deviation of a mean of readings on a healthy machine at nominal load, per channel."""

    power_kw: float
    temperature_c: float
    vibration_mm_s: float


class Setting(NamedTuple):
    """A machine's kind and site, and how often it is read and its load set, seconds."""

    kind: KindConfig
    factory: Factory
    dt_s: float
    load_interval_s: float


class Effect(NamedTuple):
    """Largest effect of a fault in noise sd, the channel that shows it, running hours with at least the least sd."""

    effect_sd: float
    channel: str
    hours: float


def _sensor(sensor: Sensor, level: float) -> float:
    return math.hypot(sensor.noise, sensor.noise_frac * level)


def noise_of(setting: Setting, mean_s: float = HOUR_S) -> Noise:
    """Noise of means over ``mean_s`` seconds."""
    kind = setting.kind
    n = max(1.0, mean_s / setting.dt_s)
    x, power = kind.nominal_load_frac, kind.nominal_load_frac * kind.rated_kw
    meter = _sensor(kind.sensors.power_kw, power) / power / math.sqrt(n)  # relative error of the load that is read
    duty = kind.duty
    idle = 0.0
    if duty.idle is not None:  # quarter hours at another load
        share = duty.idle.share_frac
        quarters = max(1.0, mean_s / 900.0)
        idle = math.sqrt(share * (1.0 - share) / quarters) * (1.0 - duty.idle.load_frac / x)
    climate = setting.factory.climate
    weather = climate.variation_k * climate.indoor_damping_frac
    heat, vibration = kind.thermal.rise_at_rated_k * x, kind.vibration.rated_mm_s * x
    warm = climate.mean_c if climate.mean_c is not None else 15.0
    return Noise(
        power * math.hypot(meter, duty.variation_frac, setting.factory.demand.variation_frac, idle),
        math.hypot(_sensor(kind.sensors.temperature_c, warm + heat) / math.sqrt(n), heat * meter, weather),
        math.hypot(_sensor(kind.sensors.vibration_mm_s, vibration) / math.sqrt(n), vibration * meter),
    )


def effect_of(setting: Setting, fault: FaultKind, severity: float, running_h: float, least_sd: float) -> Effect:
    """The effect of a physical fault of ``severity`` that the machine ran with for ``running_h`` hours.

    ValueError for a sensor fault: what it does to a reading is no matter of physics.
    """
    if fault.effect is None:
        raise ValueError("a sensor fault has no physical effect")
    kind, effect = setting.kind, fault.effect
    noise = noise_of(setting)
    x, power = kind.nominal_load_frac, kind.nominal_load_frac * kind.rated_kw
    found = [Effect(0.0, "power_kw", 0.0)]
    if effect.load_gain_frac:
        sd = power * effect.load_gain_frac * severity / noise.power_kw
        found.append(Effect(sd, "power_kw", running_h if sd >= least_sd else 0.0))
    if effect.spike_frac:
        sd = power * effect.spike_frac * severity / noise_of(setting, min(HOUR_S, setting.load_interval_s)).power_kw
        found.append(Effect(sd, "power_kw", running_h if sd >= least_sd else 0.0))
    if effect.vibration_mm_s:
        sd = effect.vibration_mm_s * severity / noise.vibration_mm_s
        found.append(Effect(sd, "vibration_mm_s", running_h if sd >= least_sd else 0.0))
    if effect.wear_per_h:
        sd_per_h = kind.vibration.wear_gain_mm_s * effect.wear_per_h * severity / noise.vibration_mm_s
        late_h = running_h - least_sd / sd_per_h if sd_per_h else 0.0
        found.append(Effect(sd_per_h * running_h, "vibration_mm_s", max(0.0, late_h)))
    if effect.cooling_loss_frac:
        cooling = 1.0 - effect.cooling_loss_frac * severity
        most = kind.thermal.rise_at_rated_k * x * (1.0 / cooling - 1.0) / noise.temperature_c
        tau_h = kind.thermal.time_constant_min / 60.0 / cooling
        late_h = tau_h * -math.log1p(-least_sd / most) if most > least_sd else math.inf
        reached = most * -math.expm1(-running_h / tau_h)
        found.append(Effect(reached, "temperature_c", max(0.0, running_h - late_h)))
    return max(found, key=lambda e: (e.hours, e.effect_sd))
