"""Measurements behind the group ``decisions`` of ``nexova bench``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nexova_sim.config.decision import ResolvedDecision, load_decision
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.decide.counterfactual import Judgement, Offer, Truth, judge
from nexova_sim.kernels.futures import Situations
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.decision_twin import offer_of, open_laboratory, truths
from nexova_sim.run.decisions import Replay, replay_decisions, set_scene
from nexova_sim.run.simulate import simulate

_FLEET, _CONFIG = "configs/fleet/decisions.yaml", "configs/decision/default.yaml"
_SITUATIONS, _FUTURES, _STANDARD_ERROR_USD = 1000, 512, 25.0


def _cpu_s(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _plant(place: str, settings: tuple[str, ...]) -> Path:
    return simulate(load_fleet(_FLEET, list(settings)), Path(place) / "plant").folder


def _situations(folder: Path, resolved: ResolvedDecision, n: int) -> tuple[Truth, Offer]:
    """``n`` true situations of the alerts of a dataset, taken in turn when it has fewer."""
    dataset = open_dataset(folder)
    scene = set_scene(dataset, resolved, False)
    episodes = [c.episode for c in scene.contexts]
    lab = open_laboratory(dataset)
    truth, offer = truths(lab, episodes, resolved.decision).situations, offer_of(lab, episodes, resolved.decision)
    pick = np.resize(np.arange(len(episodes)), n)
    rest = (np.ascontiguousarray(part[pick]) for part in truth[1:])
    chosen = Situations(np.ascontiguousarray(truth.params[:, pick]), *rest)
    return Truth(chosen), offer._replace(service_h=offer.service_h[pick], service_usd=offer.service_usd[pick])


def counterfactual_cpu(settings: tuple[str, ...] = ()) -> float:
    """CPU-seconds for 1000 situations x 3 actions x 512 futures of 168 h."""
    with tempfile.TemporaryDirectory() as place:
        truth, offer = _situations(_plant(place, settings), load_decision(_CONFIG), _SITUATIONS)
        judge(Truth(Situations(truth.situations.params[:, :1], *(p[:1] for p in truth.situations[1:]))),
              offer._replace(service_h=offer.service_h[:1], service_usd=offer.service_usd[:1]), 16, 1)  # fmt: skip
        return min(_cpu_s(lambda: judge(truth, offer, _FUTURES, 1)) for _ in range(2))


def _needed(found: Judgement) -> np.ndarray:
    """Rollouts of the worst action for the standard error, (s,)."""
    needed: np.ndarray = np.maximum(1.0, found.cost_usd.var(axis=2, ddof=1) / _STANDARD_ERROR_USD**2).max(axis=1)
    return needed


def spared_rollouts(settings: tuple[str, ...] = ()) -> float:
    """How many times fewer futures a standard error of 25 USD needs than plain rollouts, median over situations."""
    with tempfile.TemporaryDirectory() as place:
        truth, offer = _situations(_plant(place, settings), load_decision(_CONFIG), 300)
        plain, smart = (judge(truth, offer, 2048, 1, is_plain=p) for p in (True, False))
        # A situation in which no plain future failed needs more futures than were drawn to be told from a safe one.
        return float(np.median(_needed(plain) / _needed(smart)))


def replay_cpu(settings: tuple[str, ...] = ()) -> float:
    """CPU-seconds per 1000 decisions replayed from a cassette: alerts, contexts, questions, answers, table, audit."""
    with tempfile.TemporaryDirectory() as place:
        folder, tape = _plant(place, settings), Path(place) / "tape.jsonl"
        resolved = load_decision(_CONFIG)

        def run(mode: str, name: str) -> int:
            wanted = Replay(("scripted",), False, tape, mode)
            return int(replay_decisions(folder, resolved, wanted, Path(place) / name).summary["episodes"])

        n = run("record", "first")
        return min(_cpu_s(lambda k=k: run("replay", f"run{k}")) for k in range(3)) * 1000.0 / n  # type: ignore[misc]


def constant_over_tuned(settings: tuple[str, ...] = ()) -> float:
    """Mean regret of the best constant policy over that of the fitted rules."""
    names = ("never", "always:MAINTENANCE", "always:OFFLINE", "tuned_rules")
    with tempfile.TemporaryDirectory() as place:
        done = replay_decisions(_plant(place, settings), load_decision(_CONFIG), Replay(names), Path(place) / "run")
        regret = {row["policy"]: float(row["mean_regret_usd"]) for row in done.summary["policies"]}
        return min(regret[name] for name in names[:3]) / regret[names[3]]


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "decisions_counterfactual": Benchmark("decisions", "CPU-s", 20.0, "max",
            "1000 alert situations of configs/fleet/decisions.yaml x 3 actions x 512 futures of 168 h",
            counterfactual_cpu),
        "decisions_spared": Benchmark("decisions", "x", 100.0, "min",
            "plain rollouts over conditional ones for a standard error of 25 USD, median over 300 situations",
            spared_rollouts),
        "decisions_replay": Benchmark("decisions", "CPU-s per 1000", 2.0, "max",
            "nexova decisions replay --no-judge from a cassette of the stub: alerts, contexts, answers, table, audit",
            replay_cpu),
        "decisions_not_degenerate": Benchmark("decisions", "x", 2.0, "min",
            "mean regret of the best constant policy over that of tuned_rules, which were fitted on another seed",
            constant_over_tuned),
    }
)  # fmt: skip
