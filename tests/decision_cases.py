"""Contexts for tests of decisions: one machine, one alert, readings as wished."""

from __future__ import annotations

from nexova_sim.decide.context import Context, Episode, Reading, Terms
from nexova_sim.decide.history import WINDOWS, Span

MACHINE = {
    "machine_id": "lyon-pump-001", "name": "Pump 001", "kind": "PUMP", "factory_id": "lyon", "rated_kw": 15.0,
    "nominal_load_frac": 0.7, "baseline_kw": 10.5, "runtime_start_h": 4000.0, "rated_life_h": 20000.0,
    "lost_production_usd_per_h": 120.0, "planned_service_usd": 600.0, "planned_service_h": 4.0, "failure_usd": 4500.0,
    "failure_h": 24.0,
}  # fmt: skip
NOW_MS = 1_767_700_000_000


def episode(channel="vibration_mm_s", severity="WARNING", **change):
    """An alert."""
    made = Episode("lyon-pump-001", NOW_MS, "vibration", "VIBRATION", channel, severity, 2.6, 2.5, "mm/s")
    return made._replace(**change)


def context(power=10.5, temp=60.0, vibration=2.0, growth=0.0, machine=None, **change):
    """A context with ten equal readings; ``growth`` mm/s per day leads up to ``vibration``."""
    readings = tuple(Reading(NOW_MS - 60_000 * (9 - n), power, temp, vibration, "ONLINE") for n in range(10))
    spans = tuple(Span(a, b, float(b - a), power, temp, vibration - growth * (a + b) / 48.0) for a, b in WINDOWS)
    made = Context(episode(), MACHINE | (machine or {}), readings, (), (), spans, Terms())
    return made._replace(**change)
