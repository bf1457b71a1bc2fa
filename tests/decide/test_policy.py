"""Policies: the platform's rules, constants, chance, fitted rules, the twin's choice; one Protocol for all."""

from __future__ import annotations

import math

import pytest
from decision_cases import context, episode

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.decision import Gate, Rules
from nexova_sim.decide.decision import ACTIONS
from nexova_sim.decide.gate import latencies, pass_gate
from nexova_sim.decide.policy import (
    ASKING,
    POLICIES,
    Means,
    Outlook,
    Verdict,
    check_policy,
    make_decision,
    make_policy,
    means_of,
    outlook_decision,
    seed_decision,
    trend,
)
from nexova_sim.decide.prompt import situation
from nexova_sim.decide.scripted import script

OUTLOOK = Outlook((5000.0, 900.0, 1500.0), (4000.0, 100.0, 0.0), (0.6, 0.02, 0.0))
MEANS = Means(Rules(), 7, lambda _context: OUTLOOK, lambda _context: Verdict(make_decision("NONE", "INFO", "asked")))
NAMES = [name if name != "always" else f"always:{action}" for name in POLICIES for action in ACTIONS]


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_every_policy_decides_within_the_contract_and_the_same_twice(name):
    policy = make_policy(name, MEANS)
    assert policy.name == name
    strange = context(power=math.nan, temp=math.nan, vibration=math.nan, growth=math.nan)
    for case in (context(), strange, context(readings=(), spans=())):
        verdict = policy.decide(case)
        assert verdict.decision.action_taken in ACTIONS
        assert policy.decide(case) == verdict


@pytest.mark.parametrize(
    ("case", "action", "risk"),
    [
        ({"temp": 84.9}, "NONE", "WARNING"),
        ({"temp": 85.1}, "MAINTENANCE", "CRITICAL"),
        ({"power": 12.7}, "OFFLINE", "CRITICAL"),
        ({"power": 12.7, "temp": 90.0}, "OFFLINE", "CRITICAL"),
        ({"vibration": 9.0}, "NONE", "WARNING"),
    ],
)
def test_the_platforms_rules(case, action, risk):
    decision = seed_decision(context(**case), Rules())
    assert (decision.action_taken, decision.risk_level) == (action, risk)


def test_without_readings_the_platforms_rules_do_nothing():
    quiet = context(readings=(), episode=episode(channel="power_kw"))
    assert seed_decision(quiet, Rules()).action_taken == "NONE"


def test_the_twins_choice_claims_what_it_expects():
    decision = outlook_decision(OUTLOOK)
    assert (decision.action_taken, decision.risk_level) == ("MAINTENANCE", "CRITICAL")
    assert decision.estimated_savings == 4100.0
    assert decision.prevented_loss == 3900.0


@pytest.mark.parametrize(
    ("case", "action"),
    [
        ({"vibration": 2.5}, "NONE"),
        ({"vibration": 3.1}, "MAINTENANCE"),
        ({"vibration": 4.5}, "NONE"),
        ({"vibration": 2.3, "growth": 0.2}, "MAINTENANCE"),
        ({"vibration": 3.0, "growth": 0.3}, "OFFLINE"),
        ({"vibration": 4.0, "growth": 2.0}, "NONE"),
    ],
)
def test_fitted_rules_tell_wear_from_imbalance(case, action):
    assert make_policy("tuned_rules", MEANS).decide(context(**case)).decision.action_taken == action


def test_trend_and_means_of_a_context():
    excess, growth = trend(context(vibration=2.12, growth=0.24), 1.6)
    assert (excess, growth) == (pytest.approx(1.0 - 0.03), pytest.approx(0.24))
    assert means_of(context(power=8.0)) == (8.0, 60.0, pytest.approx(2.0))
    assert all(math.isnan(v) for v in means_of(context(readings=())))


@pytest.mark.parametrize(
    ("name", "message"),
    [("twn", "did you mean 'twin'"), ("always", "which action"), ("always:EXPLODE", "no such action"),
     ("never:NONE", "only 'always'"), ("\x1b[31m", "choose one of")],
)  # fmt: skip
def test_a_wrong_policy_is_told(name, message):
    with pytest.raises(ConfigError, match=message):
        make_policy(name, MEANS)


def test_what_a_policy_lacks_is_told():
    bare = Means(Rules(), 1)
    with pytest.raises(ConfigError, match="simulate"):
        make_policy("twin", bare)
    for name in ASKING:
        with pytest.raises(ConfigError, match="cassette"):
            make_policy(name, bare)
    assert check_policy("always:NONE") == "always"


def test_the_gate():
    gate = Gate(autonomous=["OFFLINE"], latency_h=3.0, skill_frac=0.5)
    assert pass_gate(gate, "NONE", "k", 1, -9.0) == ("NONE", 0.0, "none")
    assert pass_gate(gate, "OFFLINE", "k", 1, -9.0) == ("OFFLINE", 0.0, "autonomous")
    outcomes = [pass_gate(gate, "MAINTENANCE", f"k{n}", 1, -9.0).outcome for n in range(400)]
    assert 150 < outcomes.count("rejected") < 250
    assert {pass_gate(gate, "MAINTENANCE", f"k{n}", 1, 9.0).outcome for n in range(50)} == {"approved"}
    assert pass_gate(gate, "MAINTENANCE", "k", 1, None) == ("MAINTENANCE", 3.0, "approved")
    assert latencies(gate) == (0, 3, 0)


def test_a_machine_without_a_name_plate_is_decided_about_too():
    """Ingested plants may know neither power rating nor costs."""
    bare = context(machine=dict.fromkeys(
        ("rated_kw", "baseline_kw", "rated_life_h", "failure_usd", "failure_h", "lost_production_usd_per_h",
         "planned_service_usd", "planned_service_h"))
    )  # fmt: skip
    for name in ("seed_rules", "tuned_rules"):
        assert make_policy(name, MEANS).decide(bare).decision.action_taken == "NONE"
    assert script(situation(bare), 5)["actionTaken"] == "NONE"
