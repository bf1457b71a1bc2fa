"""A small fleet for the tests of the report, made by hand: three machines, two days, every kind of row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nexova_sim.report.series import empty_series, make_grid
from nexova_sim.report.tables import FleetData
from nexova_sim.schema.manifest import Manifest
from nexova_sim.schema.tables import table_of

START = 1_767_571_200_000  # 2026-01-05T00:00:00Z
HOUR = 3_600_000
END = START + 48 * HOUR


def at(hours):
    return START + round(hours * HOUR)


def times(values):
    return pa.array([at(h) for h in values], pa.int64()).cast(pa.timestamp("ms", tz="UTC"))


def ids(values):
    return pa.array(values).dictionary_encode().cast(pa.dictionary(pa.int16(), pa.string()))


def manifest(**changes):
    base = {
        "schema_version": "1", "name": "hand", "source": "simulate", "seed": 1, "start": "2026-01-05T00:00:00Z",
        "end": "2026-01-07T00:00:00Z", "dt_s": 60.0, "n_machines": 3, "rows": {"readings": 8000}, "extra_channels": [],
        "config_hash": "c" * 64, "code_hash": "d" * 64, "packages": {"python": "3"}, "files": [],
    }  # fmt: skip
    return Manifest.model_validate({**base, **changes})


def machines_table(names, factories=("north", "north", "south"), titles=("One", "Two", "Three")):
    columns = {c: [1.0] * 3 for c in (
        "rated_kw", "nominal_load_frac", "baseline_kw", "runtime_start_h", "rated_life_h", "lost_production_usd_per_h",
        "planned_service_usd", "planned_service_h", "failure_usd", "failure_h",
    )}  # fmt: skip
    return table_of(
        "machines",
        {
            **columns,
            "machine_id": ids(names),
            "name": list(titles),
            "kind": ["PUMP"] * 3,
            "factory_id": list(factories),
        },
    )


def labels_table(rows):
    who, fault, channel, onset, end, severity, is_sensor = (
        (list(c) for c in zip(*rows, strict=True)) if rows else [[]] * 7
    )
    return table_of("labels", {
        "machine_id": ids(pa.array(who, pa.string())), "fault": fault, "channel": channel,
        "onset": times(onset), "end": times(end),
        "severity": severity, "is_sensor_fault": is_sensor, "ended_by": ["end_of_data"] * len(who),
    })  # fmt: skip


def events_table(rows):
    who, when, event, reason, restored = (list(c) for c in zip(*rows, strict=True)) if rows else [[]] * 5
    n = len(who)
    return table_of("events", {
        "machine_id": ids(pa.array(who, pa.string())), "timestamp": times(when), "event": event, "status": [None] * n,
        "reason": reason, "restored": restored, "value": [None] * n,
    })  # fmt: skip


def factories_table(rows=(("north", "North works"), ("south", "South works"))):
    names, titles = (list(c) for c in zip(*rows, strict=True))
    n = len(names)
    place = {"latitude_deg": [1.0] * n, "longitude_deg": [1.0] * n, "timezone": ["UTC"] * n}
    return table_of("factories", {"factory_id": names, "name": titles, **place})


def description(names):
    gaps = [
        {
            "machine_id": name,
            "rows": rows,
            "first": None,
            "last": None,
            "n_gaps": int(rows < 2880),
            "missing_rows": 2880 - rows,
            "longest_s": 60.0 * (2880 - rows),
        }
        for name, rows in zip(names, (2880, 2240, 2880), strict=True)
    ]
    channel = {
        "count": 8000,
        "nan": 0,
        "min": 0.0,
        "mean": 5.0,
        "std": 1.0,
        "p05": 1.0,
        "median": 5.0,
        "p95": 9.0,
        "max": None,
    }
    return {
        "bytes": 1000,
        "channels": [{"name": n, "unit": u, **channel} for n, u in (("power_kw", "kW"), ("temperature_c", "degC"))],
        "gaps": {
            "step_s": 60.0,
            "is_step_given": True,
            "n_gaps": 1,
            "missing_rows": 640,
            "longest_s": 38_400.0,
            "longest_on": names[1],
            "by_machine": gaps,
        },
    }


def fleet(names=("m-1", "m-2", "m-3"), truth=True, **changes):
    """m-1 fails and is repaired, m-2 is CRITICAL at the end with a gap, m-3 is in maintenance at the end."""
    grid = make_grid(START, END, 96, 60.0)
    series = empty_series(grid, 3, 60.0)
    per_bin = grid.width_ms // 60_000
    for channel, value in enumerate((10.0, 50.0, 2.0)):
        series.low[channel], series.high[channel] = value - 1, value + 1
        series.n_valid[channel], series.total[channel] = per_bin, value * per_bin
    series.energy_kwh[:] = 10.0 * grid.width_ms / HOUR
    series.status[0] = per_bin
    series.last_ms[:], series.last_status[:] = END - 60_000, (0, 0, 2)
    series.status[:, 2, -8:] = [[0], [0], [per_bin]]
    for values in (series.n_valid, series.total, series.status):
        values[:, 1, 20:41] = 0
    series.energy_kwh[1, 20:41] = 0.0
    health = np.full((3, grid.n_bins), np.nan)
    if truth:
        health[0], health[1], health[2] = 95.0, np.linspace(90.0, 40.0, grid.n_bins), 99.0
        health[0, 30:40] = 70.0
    base = FleetData(
        manifest(),
        description(names),
        machines_table(list(names)),
        factories_table(),
        labels_table(
            [
                (names[1], "cooling_loss", None, 10.0, 48.0, 0.8, False),
                (names[2], "sensor_stuck", "power_kw", 4.0, 6.5, 1.0, True),
            ]
        ),
        events_table(
            [
                (names[0], 15.0, "failure", "bearing", "bearing"),
                (names[0], 16.0, "maintenance_start", "repair", "bearing+random"),
                (names[0], 40.0, "maintenance_end", "repair", "bearing+random"),
                (names[2], 44.0, "maintenance_start", "service", "bearing"),
                (names[0], 0.0, "status", "plan", None),
            ]
        ),
        series,
        health,
    )
    return base._replace(**changes)
