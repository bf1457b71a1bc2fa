"""The benchmarks of decisions, on a small plant."""

from __future__ import annotations

import pytest

from nexova_sim.run.bench_decisions import (
    BENCHMARKS,
    constant_over_tuned,
    counterfactual_cpu,
    replay_cpu,
    spared_rollouts,
)

SMALL = ("days=6", "dt_s=300")


def test_every_bar_has_its_direction():
    assert {b.group for b in BENCHMARKS.values()} == {"decisions"}
    assert {name: b.direction for name, b in BENCHMARKS.items()} == {
        "decisions_counterfactual": "max", "decisions_spared": "min", "decisions_replay": "max",
        "decisions_not_degenerate": "min",
    }  # fmt: skip


@pytest.mark.slow
def test_measured_on_a_small_plant():
    assert 0.1 < counterfactual_cpu(SMALL) < 100.0
    assert spared_rollouts(SMALL) >= 1.0
    assert replay_cpu(SMALL) > 0.1
    assert constant_over_tuned(SMALL) > 0.0
