"""The replay of decisions: judge, table, audit log, ledger; nothing policies could have peeked at."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from nexova_sim.approve.audit import Anchor, Entry, verify_chain
from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.decision import load_decision
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset, time_ms
from nexova_sim.run import decision_judge, decision_table, decision_twin
from nexova_sim.run import decisions as verb
from nexova_sim.run.simulate import simulate
from nexova_sim.schema.decisions import decisions_schema

NAMES = ("never", "always:MAINTENANCE", "always:OFFLINE", "seed_rules", "tuned_rules", "twin")


@pytest.fixture(scope="module")
def plant(root, tmp_path_factory):
    """Old machines with many faults for a fortnight."""
    folder = tmp_path_factory.mktemp("decisions") / "plant"
    edits = ["days=14", "dt_s=300"]
    simulate(load_fleet(root / "configs/fleet/decisions.yaml", edits), folder, jobs=1)
    return folder


@pytest.fixture(scope="module")
def resolved(root):
    return load_decision(root / "configs/decision/default.yaml", ["twin.futures=32"])


@pytest.fixture(scope="module")
def done(plant, resolved, tmp_path_factory):
    out = tmp_path_factory.mktemp("replay") / "run"
    return verb.replay_decisions(plant, resolved, verb.Replay(NAMES), out)


def table_of(done):
    return pq.read_table(done.folder / verb.TABLE)


def test_the_table_is_the_log_of_every_policy(done):
    table = table_of(done)
    assert table.schema.equals(decisions_schema())
    n = done.summary["episodes"]
    assert table.num_rows == n * len(NAMES)
    assert len(set(table["id"].to_pylist())) == table.num_rows
    for text, action in zip(table["decision"].to_pylist(), table["action_taken"].to_pylist(), strict=True):
        assert json.loads(text)["actionTaken"] == action


def test_regret_is_cost_over_the_best_and_savings_are_against_doing_nothing(done):
    rows = table_of(done).to_pylist()
    for row in rows[:: max(1, len(rows) // 200)]:
        cost = {a: row[f"cost_{a.lower()}_usd"] for a in ("NONE", "MAINTENANCE", "OFFLINE")}
        assert row["saving_true_usd"] == pytest.approx(cost["NONE"] - cost[row["action_taken"]])
        assert row["regret_usd"] == pytest.approx(cost[row["action_taken"]] - cost[row["action_best"]])
        assert 0.0 <= row["p_fail_none"] <= 1.0


@pytest.mark.slow
def test_the_benchmark_is_not_degenerate(root, resolved, tmp_path):
    simulate(load_fleet(root / "configs/fleet/decisions.yaml"), tmp_path / "plant", jobs=1)
    done = verb.replay_decisions(tmp_path / "plant", resolved, verb.Replay(NAMES), tmp_path / "run")
    regret = {row["policy"]: row["mean_regret_usd"] for row in done.summary["policies"]}
    constant = min(regret[name] for name in ("never", "always:MAINTENANCE", "always:OFFLINE"))
    assert constant >= 2.0 * regret["tuned_rules"]
    assert regret["twin"] < constant


def test_the_audit_log_is_whole_and_anchored(done):
    lines = (done.folder / verb.AUDIT).read_text().splitlines()
    entries = [Entry(**json.loads(line)) for line in lines]
    anchor = Anchor(done.summary["audit"]["n_entries"], done.summary["audit"]["head"])
    assert verify_chain(entries, {"head": anchor}) == []
    assert verify_chain(entries[:-1], {"head": anchor}) != []
    executed = sum(e.action == "execute" for e in entries)
    assert executed == sum(a != "NONE" for a in table_of(done)["action_executed"].to_pylist())


def test_the_same_again_is_there_already_and_anew_the_same_bytes(done, plant, resolved, tmp_path):
    assert verb.replay_decisions(plant, resolved, verb.Replay(NAMES), done.folder).was_there
    again = verb.replay_decisions(plant, resolved, verb.Replay(NAMES), tmp_path / "again")
    assert (again.folder / verb.TABLE).read_bytes() == (done.folder / verb.TABLE).read_bytes()
    assert verb.read_summary(done.folder) == again.summary


def test_true_states_are_those_of_the_truth_table(plant, resolved):
    lab = decision_twin.open_laboratory(open_dataset(plant))
    scene = verb.set_scene(open_dataset(plant), resolved, True)
    episodes = [c.episode for c in scene.contexts][:20]
    truth = decision_twin.truths(lab, episodes, resolved.decision)
    table = open_dataset(plant).read("truth")
    names, times = np.array(table["machine_id"].to_pylist()), time_ms(table["timestamp"].combine_chunks())
    wear = table["wear_frac"].to_numpy()
    for n, episode in enumerate(episodes):
        before = np.flatnonzero((names == episode.machine_id) & (times <= episode.raised_ms))[-1]
        assert truth.situations.state[n, 1] == wear[before]
    assert decision_twin.chance_key(episodes[0]) != decision_twin.chance_key(episodes[1])
    assert len(decision_twin.plates(lab, episodes, resolved.decision)) == len(episodes)
    assert decision_twin.offer_of(lab, episodes, resolved.decision).crew_h == 24


def test_the_judge_agrees_with_itself_on_fresh_futures(plant, resolved):
    scene = verb.set_scene(open_dataset(plant), resolved, True)
    assert scene.found is not None
    found = decision_judge.find(scene.lab, [c.episode for c in scene.contexts], resolved.decision)
    np.testing.assert_array_equal(found.cost, scene.found.cost)
    clear = found.is_clear
    assert (found.cost.argmin(axis=1) == found.best)[clear].mean() > 0.97
    assert (found.se[:, 0] == 0.0).all()


def test_a_person_in_the_loop_costs_time(plant, resolved, root):
    slow = load_decision(root / "configs/decision/approval.yaml", ["gate.latency_h=24", "twin.futures=16"])
    scene = verb.set_scene(open_dataset(plant), slow, True)
    verdicts = verb.decide_all(scene, "always:MAINTENANCE", slow.decision)
    taken = decision_table.take(scene.contexts, "always:MAINTENANCE", verdicts, slow.decision, scene.found)
    assert {t.passage.outcome for t in taken} == {"approved", "rejected"}
    rows = decision_table.decision_rows(scene.contexts, taken, scene.found)
    assert {t.passage.action for t in taken} == set(rows["action_executed"].to_pylist())
    entries, _ = decision_table.audit_entries(scene.contexts, taken)
    assert {"approve", "reject"} <= {e.action for e in entries}
    assert decision_table.audit_text(entries).count(b"\n") == len(entries)


def test_decisions_without_a_judge(plant, resolved, tmp_path):
    replay = verb.Replay(("never",), is_judged=False)
    done = verb.replay_decisions(plant, resolved, replay, tmp_path / "blind")
    assert table_of(done)["regret_usd"].null_count == done.summary["episodes"]
    plan = verb.outline(plant, resolved, replay, None)
    assert plan["policies"] == ["never"]


def test_what_cannot_be_done_is_told(plant, resolved, tmp_path):
    with pytest.raises(ConfigError, match="no such policy"):
        verb.replay_decisions(plant, resolved, verb.Replay(("nobody",)), tmp_path / "x")
    with pytest.raises(DataError, match="no decisions"):
        verb.read_summary(plant)
    with pytest.raises(ConfigError, match="cassette"):
        verb.outline(plant, resolved, verb.Replay(("gemini",)), None)
    terms = verb.terms_of(resolved.decision)
    assert terms.horizon_h == 168
    assert verb.outlooks(decision_twin.open_laboratory(open_dataset(plant)), [], resolved.decision) == {}


def test_only_a_simulated_dataset_can_be_judged(tiny_dataset, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_dataset, copy)
    (copy / "config.resolved.yaml").unlink()
    with pytest.raises(ConfigError, match="not written by 'nexova simulate'"):
        decision_twin.resolved_of(open_dataset(copy))
