"""One row per column: name, unit, type, valid range, meaning.

Parquet metadata, range checks, plot labels and docs derive from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Channel(NamedTuple):
    """A column of a table. ``low``/``high`` bound valid values (None = unbounded); ``unit`` "1" is dimensionless."""

    name: str
    unit: str
    dtype: str
    low: float | None
    high: float | None
    meaning: str


STATUSES = ("ONLINE", "OFFLINE", "MAINTENANCE")
FAILURE_EVENTS = ("bearing", "thermal", "electrical", "end_of_life", "random")
REASONS = ("plan", "failure", "repair", "service", "decision", "start")
RISK_CLASSES = ("HEALTHY", "WARNING", "CRITICAL")
COMPONENTS = ("bearing", "thermal", "electrical", "life", "random", "process")

_ID = Channel("machine_id", "1", "id", None, None, "machine the row belongs to")
# One row per machine there, and a dictionary of 16-bit codes holds 32767: plain text.
_ID_TEXT = Channel("machine_id", "1", "text", None, None, "machine the row describes")
_TIME = Channel("timestamp", "UTC", "time", None, None, "start of the sampling interval")

POWER = Channel("power_kw", "kW", "float32", 0.0, 1e5, "electrical input power as read by the meter")
TEMPERATURE = Channel("temperature_c", "degC", "float32", -60.0, 400.0, "housing temperature as read by the sensor")
VIBRATION = Channel("vibration_mm_s", "mm/s", "float32", 0.0, 1000.0, "vibration velocity, RMS, as read by the sensor")
RUNTIME = Channel("runtime_h", "h", "float32", 0.0, 1e7, "hour meter: running hours since the last replacement")
STATUS = Channel("status", "1", "status", None, None, "ONLINE, OFFLINE (not running) or MAINTENANCE")

SENSED = (POWER, TEMPERATURE, VIBRATION, RUNTIME)

TABLES: Mapping[str, tuple[Channel, ...]] = MappingProxyType(
    {
        "readings": (_ID, _TIME, *SENSED, STATUS),
        "truth": (
            _ID,
            _TIME,
            Channel("load_frac", "1", "float32", 0.0, 2.0, "true load as a fraction of rated power"),
            Channel("temp_c", "degC", "float32", -60.0, 400.0, "true housing temperature"),
            Channel("vibration_true_mm_s", "mm/s", "float32", 0.0, 1000.0, "true vibration velocity"),
            Channel("ambient_c", "degC", "float32", -60.0, 60.0, "true ambient temperature"),
            Channel("cooling_frac", "1", "float32", 0.0, 1.0, "cooling factor, 1 = as built"),
            Channel("wear_frac", "1", "float64", 0.0, 1.0, "bearing wear, 1 = failed"),
            Channel("fatigue_frac", "1", "float64", 0.0, 1.0, "thermal fatigue, 1 = failed"),
            Channel("electrical_frac", "1", "float64", 0.0, 1.0, "electrical stress, 1 = failed"),
            Channel("runtime_true_h", "h", "float64", 0.0, 1e7, "exact running hours since the last replacement"),
            Channel("health_percent", "%", "float32", 0.0, 100.0, "weighted health, see MODEL health formula"),
            Channel(
                "rul_h", "h", "float32", 0.0, None, "calendar hours to failure if nothing is done; null while down"
            ),
            Channel("rul_running_h", "h", "float32", 0.0, None, "the same in running hours"),
            Channel("failure_event", "1", "text", None, None, "the event that ends that life"),
            Channel("fault", "1", "text", None, None, "active faults, joined by '+'; empty = none"),
            Channel("energy_kwh", "kWh", "float32", 0.0, None, "true energy since the previous sample"),
            Channel("planned_energy_kwh", "kWh", "float32", 0.0, None, "the generator's own mean of that energy"),
            STATUS,
        ),
        "labels": (
            _ID,
            Channel("fault", "1", "text", None, None, "fault kind"),
            Channel("channel", "1", "text", None, None, "channel a sensor fault acts on; null for physical faults"),
            Channel("onset", "UTC", "time", None, None, "first instant of the fault"),
            Channel("end", "UTC", "time", None, None, "one past the last instant; the end of the data when still open"),
            Channel("severity", "1", "float32", 0.0, 1.0, "severity, 1 = the fault's full size"),
            Channel("is_sensor_fault", "1", "bool", None, None, "true when only the reading is wrong"),
            Channel("ended_by", "1", "text", None, None, "schedule, maintenance or end_of_data"),
        ),
        "events": (
            _ID,
            _TIME,
            Channel("event", "1", "text", None, None, "status, failure, maintenance_start or maintenance_end"),
            Channel("status", "1", "text", None, None, "status from now on (status events)"),
            Channel(
                "reason", "1", "text", None, None, "why: plan, failure, repair, service, decision; or the failure event"
            ),
            Channel("restored", "1", "text", None, None, "components maintenance restores, joined by '+'"),
            Channel("value", "1", "float64", None, None, "failure: running hours; maintenance_start: planned hours"),
        ),
        "machines": (
            _ID_TEXT,
            Channel("name", "1", "text", None, None, "display name"),
            Channel("kind", "1", "text", None, None, "PUMP, MOTOR, COMPRESSOR, CONVEYOR or a user's kind"),
            Channel("factory_id", "1", "text", None, None, "factory the machine stands in"),
            Channel("rated_kw", "kW", "float64", 0.0, 1e5, "name-plate power"),
            Channel("nominal_load_frac", "1", "float64", 0.0, 2.0, "usual load while running"),
            Channel("baseline_kw", "kW", "float64", 0.0, 1e5, "nominal power: rated power times nominal load"),
            Channel("runtime_start_h", "h", "float64", 0.0, 1e7, "hour meter at the start"),
            Channel("rated_life_h", "h", "float64", 0.0, None, "rated life in running hours"),
            Channel("lost_production_usd_per_h", "USD/h", "float64", 0.0, None, "cost of an hour of unplanned stop"),
            Channel("planned_service_usd", "USD", "float64", 0.0, None, "cost of a planned service"),
            Channel("planned_service_h", "h", "float64", 0.0, None, "duration of a planned service"),
            Channel("failure_usd", "USD", "float64", 0.0, None, "cost of the repair after a failure"),
            Channel("failure_h", "h", "float64", 0.0, None, "duration of that repair"),
        ),
        "build": (
            _ID_TEXT,
            Channel("rise_k", "K", "float64", 0.0, None, "true temperature rise at rated load"),
            Channel("tau_h", "h", "float64", 0.0, None, "true thermal time constant"),
            Channel("vib_rated_mm_s", "mm/s", "float64", 0.0, None, "true vibration at rated load without wear"),
            Channel("load_scale", "1", "float64", 0.0, None, "true ratio of the machine's load to its kind's"),
            Channel("wear_per_mm_s_h", "1/(mm/s h)", "float64", 0.0, None, "true wear rate"),
            Channel("wear_start_frac", "1", "float64", 0.0, 1.0, "true wear at the start"),
            Channel("fatigue_start_frac", "1", "float64", 0.0, 1.0, "true fatigue at the start"),
            Channel("electrical_start_frac", "1", "float64", 0.0, 1.0, "true electrical stress at the start"),
        ),
        "factories": (
            Channel("factory_id", "1", "text", None, None, "factory"),
            Channel("name", "1", "text", None, None, "display name"),
            Channel("latitude_deg", "deg", "float64", -90.0, 90.0, "latitude, north positive"),
            Channel("longitude_deg", "deg", "float64", -180.0, 180.0, "longitude, east positive"),
            Channel("timezone", "1", "text", None, None, "IANA time zone"),
        ),
        "weather": (
            Channel("factory_id", "1", "text", None, None, "factory"),
            _TIME,
            Channel("ambient_c", "degC", "float32", -60.0, 60.0, "measured ambient temperature, hourly mean"),
        ),
    }
)

PUBLIC_TABLES = ("readings", "machines", "events", "factories", "weather")
HIDDEN_TABLES = ("truth", "labels", "build")


def channel(table: str, name: str) -> Channel:
    """The channel ``name`` of ``table``; KeyError when there is none."""
    for row in TABLES[table]:
        if row.name == name:
            return row
    raise KeyError(name)
