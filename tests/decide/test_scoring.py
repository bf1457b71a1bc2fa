"""Measures of decisions on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nexova_sim.decide import scoring


def test_regret_and_its_paired_interval():
    values = np.arange(101.0)
    found = scoring.regret({"regret_usd": values})
    assert found == {"mean_usd": 50.0, "p95_usd": 95.0, "max_usd": 100.0}
    pair = scoring.paired_bootstrap(values + 10.0, values, 1)
    assert pair == {"mean_usd": 10.0, "low_usd": 10.0, "high_usd": 10.0}
    wide = scoring.paired_bootstrap(values, np.zeros(101), 1)
    assert wide["low_usd"] < 50.0 < wide["high_usd"]


def test_agreement_counts_clear_cases_only():
    columns = {"is_clear": np.array([True, True, False]), "action_taken": np.array(["NONE", "NONE", "OFFLINE"], object),
               "action_best": np.array(["NONE", "OFFLINE", "OFFLINE"], object)}  # fmt: skip
    assert scoring.agreement(columns) == {"share": 0.5, "n_clear": 2, "n_tied": 1}
    assert scoring.agreement({k: v[2:] for k, v in columns.items()})["share"] is None


def test_claims_against_the_twin():
    claimed, true, se = np.array([0.0, 100.0, 200.0, 50.0]), np.array([9.0, 90.0, -10.0, 50.5]), np.full(4, 1.0)
    found = scoring.claims(claimed, true, se)
    assert found["n"] == 3
    assert found["mae_usd"] == pytest.approx((10 + 210 + 0.5) / 3)
    assert found["bias_usd"] == pytest.approx((10 + 210 - 0.5) / 3)
    assert found["wrong_sign_share"] == pytest.approx(1 / 3)
    assert found["inside_share"] == pytest.approx(1 / 3)
    assert scoring.claims(claimed, true, None)["inside_share"] is None
    assert scoring.claims(np.zeros(3), true[:3], None)["mae_usd"] is None


def test_risk_levels_are_worth_what_they_tell():
    level = np.array(["INFO"] * 50 + ["CRITICAL"] * 50, object)
    columns = {"risk_level": level, "p_fail_none": np.where(level == "INFO", 0.1, 0.9)}
    found = scoring.calibration(columns)
    assert found["is_monotone"]
    assert found["brier"] == pytest.approx(0.09)
    assert found["brier_flat"] == pytest.approx(0.25)
    assert not scoring.calibration(columns | {"p_fail_none": 1.0 - columns["p_fail_none"]})["is_monotone"]


def test_consistency_over_repeats():
    columns = {"alert_id": np.array(["a", "a", "b", "b"], object),
               "action_taken": np.array(["NONE", "NONE", "NONE", "OFFLINE"], object)}  # fmt: skip
    assert scoring.consistency(columns) == {"repeats": 2, "same_share": 0.5, "entropy_bits": 0.5}
    assert scoring.consistency({k: v[1:3] for k, v in columns.items()})["same_share"] is None


def test_validity_by_way_of_reading():
    path = np.array(["raw", "raw", "fence", "failed"], object)
    found = scoring.validity({"path": path, "is_fallback": path == "failed"})
    assert found["valid_share"] == 0.75
    assert found["paths"] == {"raw": 2, "fence": 1, "extract": 0, "failed": 1}
    assert scoring.validity({"path": np.array(["rule"], object)})["valid_share"] is None


def test_guidelines_kept_and_what_keeping_them_costs():
    columns = {
        "action_taken": np.array(["OFFLINE", "NONE", "MAINTENANCE", "OFFLINE"], object),
        "risk_level": np.array(["CRITICAL", "INFO", "WARNING", "INFO"], object),
        "power_percent": np.array([130.0, 130.0, 100.0, np.nan]), "temperature_c": np.array([90.0, 20.0, 90.0, 20.0]),
        "vibration_mm_s": np.array([1.0, 3.0, 3.0, np.nan]), "regret_usd": np.array([500.0, 0.0, 0.0, 0.0]),
        "is_clear": np.array([True] * 4),
    }  # fmt: skip
    found = scoring.guidelines(columns, 85.0, 120.0, 2.5)
    assert found["rules"] == {"power": {"n": 2, "kept_share": 0.5}, "temperature": {"n": 1, "kept_share": 1.0},
                              "vibration": {"n": 2, "kept_share": 0.5}}  # fmt: skip
    assert found["compliant_but_costly_share"] == 0.5


def test_what_asking_costs():
    columns = {"latency_ms": np.array([100.0, np.nan, 300.0]), "tokens_in": np.array([1000.0, np.nan, 2000.0]),
               "tokens_out": np.array([100.0, np.nan, 200.0])}  # fmt: skip
    found = scoring.asking(columns, 1.0, 10.0)
    assert found["latency_p50_ms"] == 200.0
    assert found["usd_per_decision"] == pytest.approx((3000 + 3000) / 1e6 / 3)
    assert scoring.asking(columns, None, None)["usd_per_decision"] is None
