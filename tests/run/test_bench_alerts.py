"""The benchmarks of alerts and events, on small plants."""

from __future__ import annotations

import pytest

from nexova_sim.run.bench_alerts import BENCHMARKS, event_rate, fewer_alarms, seed_policy_cpu, seed_run_cpu

SMALL = (
    "days=1",
    "factories=[{id: lyon, latitude_deg: 45.0, longitude_deg: 4.0, timezone: Europe/Paris, machines: {pump: 4}}]",
)


def test_every_bar_has_its_direction():
    assert {b.group for b in BENCHMARKS.values()} == {"alerts", "events"}


@pytest.mark.slow
def test_measured_on_small_plants():
    assert 0.1 < seed_policy_cpu(("days=1",)) < seed_run_cpu(("days=1",))
    assert event_rate(SMALL) > 1.0
    ratio = fewer_alarms(SMALL)
    assert ratio is None or ratio > 1.0
