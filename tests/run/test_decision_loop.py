"""The closed loop on a small fleet, the evaluation of a run, and the attack suites."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.config.attack import load_attacks
from nexova_sim.config.autonomy import load_autonomy
from nexova_sim.config.decision import load_decision
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.decide.policy import Verdict, make_decision
from nexova_sim.report.autonomy import autonomy_figure
from nexova_sim.run import decision_attacks as attacks
from nexova_sim.run import decision_autonomy, decision_evaluate, decision_loop, decision_twin
from nexova_sim.run import decisions as verb
from nexova_sim.run.simulate import simulate


@pytest.fixture(scope="module")
def resolved(root):
    return load_decision(root / "configs/decision/default.yaml", ["twin.futures=16"])


@pytest.fixture(scope="module")
def dying(root, tmp_path_factory):
    """Three pumps near their end for four days."""
    folder = tmp_path_factory.mktemp("loop") / "dying"
    edits = ["days=5", "dt_s=300", "start_age_frac=[0.97, 1.0]", "faults.random=false"]
    fleet = load_fleet(root / "configs/fleet/decisions.yaml", edits)
    site = fleet.fleet.factories[0].model_copy(update={"machines": {"pump": 3}})
    fleet = fleet.model_copy(update={"fleet": fleet.fleet.model_copy(update={"factories": [site]})})
    simulate(fleet, folder, jobs=1)
    return folder


def always(action):
    return lambda _lab, contexts: [Verdict(make_decision(action, "INFO", "test")) for _ in contexts]


def test_a_service_in_time_prevents_the_failures(dying, resolved):
    dataset = open_dataset(dying)
    never = decision_loop.run_loop(dataset, resolved, "never", always("NONE"), 10)
    repair = decision_loop.run_loop(dataset, resolved, "x", always("MAINTENANCE"), 10)
    stop = decision_loop.run_loop(dataset, resolved, "y", always("OFFLINE"), 10)
    assert never.is_settled
    assert (never.n_waves, never.n_services, never.service_usd) == (1, 0, 0.0)
    assert never.n_failures > repair.n_failures >= stop.n_failures == 0
    assert repair.service_usd == 600.0 * repair.n_services
    assert stop.service_usd == 1200.0 * stop.n_services
    assert stop.n_call_outs == stop.n_services
    row = decision_loop.ledger_row(never)
    assert row["total_usd"] == pytest.approx(row["energy_usd"] + row["failure_usd"] + row["lost_production_usd"])


def test_the_bill_of_doing_nothing_is_that_of_the_dataset(dying, resolved):
    lab = decision_twin.open_laboratory(open_dataset(dying))
    state = decision_loop.Progress()
    bill = decision_loop.account(lab, resolved.decision, "never", state, (1, True))
    kwh = float(np.nansum(lab.dataset.read("truth")["energy_kwh"].to_numpy()))
    assert bill.energy_usd == pytest.approx(0.12 * kwh)
    events = lab.dataset.read("events").to_pylist()
    assert bill.n_failures == sum(e["event"] == "failure" for e in events)
    stops = decision_loop.stopped(lab, state, 2**62)
    assert sum(len(v) for v in stops.values()) == bill.n_failures


def test_too_few_waves_are_told(dying, resolved):
    cut = decision_loop.run_loop(open_dataset(dying), resolved, "x", always("MAINTENANCE"), 1)
    assert not cut.is_settled


def test_a_run_is_evaluated_whole(dying, resolved, tmp_path):
    replay = verb.Replay(("never", "seed_rules", "twin", "scripted"), loops=True)
    done = verb.replay_decisions(dying, resolved, replay, tmp_path / "run")
    assert [row["policy"] for row in done.summary["loop"]] == list(replay.policies)
    found = decision_evaluate.evaluate(done.folder)
    assert json.loads((done.folder / decision_evaluate.EVALUATION).read_text()) == found
    by_name = {p["policy"]: p for p in found["policies"]}
    assert by_name["never"]["saving_claims"]["n"] == 0
    assert by_name["scripted"]["validity"]["valid_share"] is not None
    assert by_name["scripted"]["asking"]["tokens_in"] > 100
    assert {p["policy"] for p in found["pairs"]} == {"seed_rules", "twin", "scripted"}
    table = decision_evaluate.read_decisions(done.folder)
    columns = decision_evaluate.columns_of(table)
    assert decision_evaluate.score("all", columns, resolved.decision)["n"] == table.num_rows
    assert decision_evaluate.read_config(done.folder) == resolved


def test_unjudged_decisions_cannot_be_evaluated(dying, resolved, tmp_path):
    done = verb.replay_decisions(dying, resolved, verb.Replay(("never",), is_judged=False), tmp_path / "run")
    with pytest.raises(DataError, match="not judged"):
        decision_evaluate.evaluate(done.folder)


def test_texts_do_not_move_rules_but_an_obedient_reader(root, resolved):
    suite = load_attacks(root / "configs/decision/attacks.yaml")
    assert len(suite.payloads) >= 24
    assert len({p.name for p in suite.payloads}) == len(suite.payloads)
    for name in ("seed_rules", "scripted"):
        found = attacks.attack(suite, name, resolved.decision)
        assert found["successes"] == 0
        assert found["followed_share"] == 1.0
    bad = attacks.attack(suite, "scripted:obedient", resolved.decision)
    assert bad["success_share"] > 0.5
    assert len(bad["hits"]) == bad["successes"]


def test_every_payload_reaches_the_question_in_its_field_and_nowhere_breaks_out(root, resolved):
    from nexova_sim.decide.prompt import make_request

    suite = load_attacks(root / "configs/decision/attacks.yaml")
    clean = attacks.make_context(suite, suite.situations["quiet"], resolved.decision)
    plain = make_request(clean, "m")
    for payload in suite.payloads:
        request = make_request(attacks.with_text(clean, payload), "m")
        assert request.system == plain.system
        text = request.messages[0].text
        assert text != plain.messages[0].text
        assert text.isascii()
        assert "`" not in text
        assert set(json.loads(text)) == set(json.loads(plain.messages[0].text))


def test_the_autonomy_study(root, tmp_path):
    edits = ["fleet_settings=['days=5', 'dt_s=300', 'start_age_frac=[0.96, 1.0]']", "seeds=[3]", "policies=[twin]",
             "latency_h=[1, 48]", "skill_frac=[0.0]", "levels={all: [MAINTENANCE, OFFLINE], none: []}"]  # fmt: skip
    resolved = load_autonomy(root / "configs/sweep/autonomy.yaml", edits)
    cells = decision_autonomy.settings_of(resolved.study)
    assert [(c.policy, c.latency_h) for c in cells] == [("never", 0.0), ("twin", 0.0), ("twin", 1.0), ("twin", 48.0)]
    done = decision_autonomy.run_autonomy(resolved, tmp_path / "study")
    assert {p.name for p in done.folder.iterdir()} >= {"autonomy.csv", "autonomy.json", "plot.png", "plot.svg"}
    found = {(m["policy"], m["latency_h"]): m for m in decision_autonomy.means(done.rows)}
    assert found["never", 0.0]["n_services"] == 0.0
    assert found["twin", 0.0]["n_services"] > 0.0
    assert found["twin", 48.0]["n_failures"] >= found["twin", 0.0]["n_failures"]
    assert decision_autonomy.run_autonomy(resolved, tmp_path / "study").was_there
    assert len(autonomy_figure(decision_autonomy.means(done.rows), "t").axes) == 1
