"""What the sensors of the naive fleet make of the truth: noise, resolution, sensor faults."""

from __future__ import annotations

import numpy as np
from naive import uniform_array

from nexova_sim.kernels import random as streams

FAULT_SIZE = {"temperature_c": 15.0, "vibration_mm_s": 2.0}
SENSOR_SPIKE_SHARE = 0.02


def sense(fleet, first_step: int, true: dict[str, np.ndarray]) -> None:
    """Noise and resolution, in place; arrays (rows, machines) float32."""
    m = fleet.m
    steps = np.arange(first_step, first_step + len(true["power_kw"]))[:, None].astype(np.uint32)
    plan = (
        ("power_kw", streams.POWER_NOISE),
        ("temperature_c", streams.TEMPERATURE_NOISE),
        ("vibration_mm_s", streams.VIBRATION_NOISE),
    )
    for channel, stream in plan:
        absolute, relative, per_unit = m.noise[channel]
        value = true[channel]
        value += (absolute + relative * value) * fleet.normals(m.keys[stream], steps)
        np.maximum(value, 0.0, out=value)
        value *= per_unit
        np.rint(value, out=value)
        value /= per_unit
    meter = true["runtime_h"]
    meter *= m.noise["runtime_h"][2]
    np.floor(meter, out=meter)
    meter /= m.noise["runtime_h"][2]


def falsify(fleet, readings: dict[str, np.ndarray]) -> np.ndarray:
    """Sensor faults on the readings of the whole run (rows, machines), in place; returns the rows that arrive."""
    plan = fleet.plan
    step_h = plan.resolved.fleet.dt_s / 3600.0
    keep = np.ones(readings["power_kw"].shape, bool)
    for fault in fleet.m.sensor_faults:
        begin, j = int(fault.onset_h / step_h), fault.machine
        end = max(begin + 1, round(fault.end_h / step_h))
        n = len(keep[begin:end])
        kind = plan.resolved.fault_kinds[fault.fault].sensor
        if kind == "missing":
            keep[begin:end, j] = False
            continue
        size = FAULT_SIZE.get(fault.channel, 0.5 * fleet.m.p["rated_kw"][j])
        per_unit = fleet.m.noise[fault.channel][2, j]
        part = readings[fault.channel][begin:end, j]
        if kind == "stuck":
            part[:] = part[0]
        elif kind == "dropout":
            part[:] = np.nan
        elif kind == "drift":
            drift = fault.severity * size * np.arange(n) / max(1, round(fault.hours / step_h))
            part[:] = np.rint(np.maximum(part + drift, 0.0) * per_unit) / per_unit
        else:
            # Each channel has a stream of its own, so that two spiking sensors do not jump together.
            number = ("power_kw", "temperature_c", "vibration_mm_s").index(fault.channel)
            key = np.uint64(streams.mix64(fleet.m.keys[streams.SENSOR_FAULT, j] + np.uint64(number)))
            u = uniform_array(np.array([key], np.uint64), np.arange(begin, begin + n).astype(np.uint32))
            jump = (
                np.where(u < 0.5 * SENSOR_SPIKE_SHARE, 1.0, -1.0)
                * (u < SENSOR_SPIKE_SHARE)
                * 2.0
                * fault.severity
                * size
            )
            part[:] = np.where(jump != 0.0, np.rint(np.maximum(part + jump, 0.0) * per_unit) / per_unit, part)
    return keep
