"""``nexova energy train``: PPO or SAC on the bids of a scheduler, once per seed, best by validation.

The test days are never drawn here. A killed training goes on from its last checkpoint.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.base.errors import CheckFailedError, ConfigError
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.study import ResolvedTrain
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.kernels.energy import Days
from nexova_sim.run.energy import ROOMS, EnergyResult, Progress, config_text, json_text, read_summary, seal, write_texts
from nexova_sim.run.energy_start import start_models, start_paths
from nexova_sim.schedule.bids import bid_names
from nexova_sim.schedule.context import Context
from nexova_sim.schedule.controllers import Bids, Controller, play_days
from nexova_sim.schedule.layer import Layer
from nexova_sim.schedule.modelfile import ModelFile, PlainLayer, dump_model, load_model
from nexova_sim.schedule.refine import Refined
from nexova_sim.schedule.shared import Shared, pack, width_of
from nexova_sim.schedule.site import make_site
from nexova_sim.schedule.study import held_out_days, train_days

FORMAT = "nexova-energy-train"
_HOURS = 24
_STARTS = ("bids", "context")
_FIRST_DAY = 2**24  # beyond the days a search of the same seed draws


def method_of(resolved: ResolvedTrain) -> str:
    """Name of what is trained: the algorithm, and ``_alone`` when it begins from the hand-set scheduler."""
    return resolved.train.algorithm + ("" if resolved.train.start else "_alone")


def _hashes(resolved: ResolvedTrain) -> tuple[str, str]:
    files = [hash_file(path) for path in start_paths(resolved.train.start, resolved.study, resolved.folder, _STARTS)]
    return hash_value([resolved.model_dump(mode="json", exclude={"folder"}), files]), code_hash(*ROOMS)


def _folder(resolved: ResolvedTrain, ident: str) -> Path:
    return Path("results") / "energy-train" / method_of(resolved) / ident


def outline_train(resolved: ResolvedTrain, out: Path | None = None) -> dict[str, Any]:
    """What a training would do, without doing it."""
    config = resolved.train
    return {
        "method": method_of(resolved),
        "folder": str(out or _folder(resolved, run_id(*_hashes(resolved)))),
        "seeds": len(config.seeds),
        "decisions_per_seed": config.decisions,
        "training_days_per_seed": config.decisions // _HOURS,
    }


def train(resolved: ResolvedTrain, out: Path | None = None, overwrite: bool = False,
          progress: Progress = lambda _done, _total: None, log: Path | None = None) -> EnergyResult:  # fmt: skip
    """Train with every seed and write model-<seed>.json, model.json (best on validation), history, summary.json.

    ``log`` is a folder for TensorBoard, with one run per seed. Seeds whose training diverged are listed as failed.

    Raises ConfigError or DataError for a start that is missing or of another fleet, CheckFailedError when all diverged.
    """
    hashes = _hashes(resolved)
    ident = run_id(*hashes)
    folder = out or _folder(resolved, ident)
    if not overwrite and is_same(folder, *hashes):
        return EnergyResult(folder, ident, read_summary(folder, "summary.json"), True)
    config = resolved.train
    with staged(folder, {"config": hashes[0], "code": hashes[1]}, overwrite) as stage:
        models: list[ModelFile] = []
        failed: list[dict[str, Any]] = []
        starts = start_models(config.start, resolved.study, resolved.folder, len(config.seeds), _STARTS)
        for number, (seed, start) in enumerate(zip(config.seeds, starts, strict=True)):

            def tell(done: int, total: int, before: int = number) -> None:
                progress(before * total + min(done, total), len(config.seeds) * total)

            place = log / f"seed-{seed}" if log else None
            try:
                models.append(_one_seed(stage, resolved, seed, start, (tell, place)))
            except CheckFailedError as error:
                failed.append({"seed": seed, "reason": str(error)})
        if not models:
            raise CheckFailedError(f"no training came to its end: {failed[0]['reason']}", failed=failed)
        best = min(models, key=lambda m: float(m.made["validation_usd_per_day"]))
        summary = {"method": method_of(resolved), "runs": [m.made for m in models], "best_seed": best.made["seed"],
                   "failed": failed}  # fmt: skip
        texts = {"model.json": dump_model(best), "summary.json": json_text(summary),
                 "config.resolved.yaml": config_text(resolved)}  # fmt: skip
        write_texts(stage, texts)
        for seed in config.seeds:
            for name in (f"checkpoint-{seed}.zip", f"state-{seed}.json"):
                (stage.folder / name).unlink(missing_ok=True)
        seal(stage, FORMAT, hashes, [*texts, *(f"{part}-{m.made['seed']}.{end}" for m in models
                                               for part, end in (("model", "json"), ("history", "csv")))])  # fmt: skip
    return EnergyResult(folder, ident, summary, False)


class _Task(NamedTuple):
    """What is learned on: the scheduler as it is, and how layers become the controller that is judged."""

    plain: Controller
    params: np.ndarray
    weights: np.ndarray | None
    make: Callable[[tuple[Layer, ...]], Controller]


def _task(resolved: ResolvedTrain, scheduler: ModelFile) -> _Task:
    config, values = resolved.train, np.array(list(scheduler.parameters.values()))
    n_kinds = len(scheduler.kinds)
    n_bids = len(bid_names(scheduler.kinds))
    params, weights = values[:n_bids], values[n_bids:] if len(values) > n_bids else None
    plain: Controller = Bids(params) if weights is None else Context(params, weights)
    if config.policy == "shared":

        def make(layers: tuple[Layer, ...]) -> Controller:
            return Shared(params, pack(layers), width_of(layers, n_kinds), weights=weights)

        return _Task(plain, params, weights, make)
    if weights is not None:
        raise ConfigError("start: a network of the whole fleet begins from bids; choose policy: shared")
    return _Task(plain, params, None, lambda layers: Refined(params, layers, is_squashed=config.algorithm == "sac"))


def _one_seed(stage: Stage, resolved: ResolvedTrain, seed: int, scheduler: ModelFile,
              watch: tuple[Progress, Path | None]) -> ModelFile:  # fmt: skip
    place = stage.folder / f"model-{seed}.json"
    if place.is_file() and (stage.folder / f"history-{seed}.csv").is_file():
        return load_model(place)
    from nexova_sim.schedule import train as learning
    from nexova_sim.schedule.refine import network_seat, shared_seat
    from nexova_sim.schedule.refine_env import RefineVecEnv

    config, study = resolved.train, resolved.study
    site, (progress, log), task = make_site(study.site), watch, _task(resolved, scheduler)
    validation = held_out_days(site, study.study, "validation")
    alone = _mean_usd(task.plain, resolved, validation)
    state_place, check_place = stage.folder / f"state-{seed}.json", stage.folder / f"checkpoint-{seed}.zip"
    is_resumed = state_place.is_file() and check_place.is_file()
    state: dict[str, Any] = (json.loads(state_place.read_text(encoding="utf-8")) if is_resumed else
                             {"episode": 0, "cpu_s": 0.0, "best_usd": alone, "best": None, "history": []})  # fmt: skip

    def draw(episode: int) -> Days:
        return train_days(site, study.study, seed, _FIRST_DAY + episode * config.n_envs, config.n_envs)

    is_shared = config.policy == "shared"
    m = len(study.site.machines)
    seat = shared_seat(m) if is_shared else network_seat(m, not config.start)
    env = RefineVecEnv(site, task.params, draw, int(state["episode"]), seat, task.weights)
    kinds = (tuple(int(k) for k in site.kind), len(scheduler.kinds)) if is_shared else ((), 0)
    recipe = learning.Recipe(config.decisions, _HOURS, config.batch, config.epochs, config.learning_rate,
                             config.log_std, seed, config.width, config.algorithm, *kinds)  # fmt: skip
    agent = (learning.agent_from(check_place.read_bytes(), env, config.algorithm) if is_resumed else
             learning.make_agent(env, recipe))  # fmt: skip
    if log:
        learning.log_to(agent, log)
    before_s, started = float(state["cpu_s"]), time.process_time()
    every = config.check_every * config.n_envs * _HOURS

    def look(agent: learning.Agent, done: int) -> None:
        progress(done, config.decisions)
        if done % every and done < config.decisions:
            return
        layers = learning.export_layers(agent)
        usd = _mean_usd(task.make(layers), resolved, validation)
        state["history"].append([done, round(usd, 4)])
        if usd < state["best_usd"] or state["best"] is None:
            state.update(
                best_usd=min(usd, state["best_usd"]),
                best=learning.as_lists(layers),
                best_at=done,
                action_std=learning.action_std(agent),
            )
        state.update(episode=env.episode, cpu_s=before_s + time.process_time() - started)
        write_durably(check_place, learning.agent_bytes(agent))
        write_durably(state_place, json_text(state).encode())

    learning.train_agent(agent, recipe, look)
    return _write(stage, scheduler, (method_of(resolved), seed, alone), state, (agent.num_timesteps, config.policy))


def _mean_usd(controller: Controller, resolved: ResolvedTrain, days: Days) -> float:
    return float(play_days(controller, make_site(resolved.study.site), days).paid.sum(axis=0).mean())


def _write(stage: Stage, scheduler: ModelFile, about: tuple[str, int, float], state: dict[str, Any],
           done: tuple[int, str]) -> ModelFile:  # fmt: skip
    (method, seed, alone), (decisions, form) = about, done
    made = {
        "seed": seed, "algorithm": method.removesuffix("_alone").upper(),
        "decisions": decisions, "cpu_s": round(float(state["cpu_s"]), 1),
        "best_at": state["best_at"], "action_std": state["action_std"],
        "validation_usd_per_day": round(float(state["best_usd"]), 3),
        "scheduler_usd_per_day": round(alone, 3), "scheduler": scheduler.made,
    }  # fmt: skip
    policy = [PlainLayer.model_validate(layer) for layer in state["best"]]
    model = scheduler.model_copy(update={"method": method, "made": made, "policy": policy, "form": form})
    rows = ["decisions,validation_usd_per_day", *(f"{done},{usd:.4f}" for done, usd in state["history"])]
    write_texts(stage, {f"history-{seed}.csv": "\n".join(rows) + "\n", f"model-{seed}.json": dump_model(model)})
    return model
