"""PPO and SAC of stable-baselines3 on the bids: zero-initialised, checkpointed, exported as plain arrays."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.logger import configure as configure_logger
from stable_baselines3.common.vec_env import VecEnv

from nexova_sim.base.errors import CheckFailedError
from nexova_sim.schedule.layer import Layer
from nexova_sim.schedule.refine import ACTION_LIMIT
from nexova_sim.schedule.train_shared import SharedNets, SharedPolicy

Agent = PPO | SAC  # what is trained, named for the rooms that do not import the library

_MOST_MEMORY = 300_000  # decisions SAC remembers
_CRITIC_WIDTH = 64


class Recipe(NamedTuple):
    """Settings of a training; ``decisions`` in all, ``n_steps`` of an hour between two updates.

    With SAC ``epochs`` are gradient steps after every hour of all lanes; ``width`` is that of both hidden layers. With
    ``kinds``, the kind of every machine, PPO learns networks shared by kind, ``width`` being that of their hidden layer
    (0: linear).
    """

    decisions: int
    n_steps: int
    batch: int
    epochs: int
    learning_rate: float
    log_std: float
    seed: int
    width: int = 64
    algorithm: str = "ppo"
    kinds: tuple[int, ...] = ()
    n_kinds: int = 0


def export_layers(agent: Agent) -> tuple[Layer, ...]:
    """The deterministic policy as plain arrays, in the order they are applied."""
    nets = agent.policy.action_net if isinstance(agent, PPO) else None
    if isinstance(nets, SharedNets):
        return nets.export()
    parts = ((*agent.policy.mlp_extractor.policy_net, agent.policy.action_net) if isinstance(agent, PPO)
             else (*agent.policy.actor.latent_pi, agent.policy.actor.mu))  # fmt: skip
    linear = [x for x in parts if isinstance(x, torch.nn.Linear)]
    return tuple(Layer(x.weight.detach().numpy().copy(), x.bias.detach().numpy().copy()) for x in linear)


def action_std(agent: Agent) -> float | None:
    """Mean standard deviation of PPO's decisions while it learns; None for SAC, whose spread depends on the state."""
    if isinstance(agent, SAC):
        return None
    return float(agent.policy.log_std.detach().exp().mean())


def make_agent(env: VecEnv, recipe: Recipe) -> Agent:
    """An agent whose deterministic decisions are all zero; sets torch to one thread."""
    torch.set_num_threads(1)
    return _quiet(_make_sac(env, recipe) if recipe.algorithm == "sac" else _make_ppo(env, recipe))


def _quiet(agent: Agent) -> Agent:
    """The agent with a logger that keeps nothing; the library's own leaves a folder per training."""
    agent.set_logger(Logger(None, []))
    return agent


def _silence(layer: torch.nn.Module, bias: float = 0.0) -> None:
    assert isinstance(layer, torch.nn.Linear)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.constant_(layer.bias, bias)


def _make_sac(env: VecEnv, recipe: Recipe) -> SAC:
    # Decisions are scaled to +-1 inside, so the wanted spread is too.
    log_std = recipe.log_std - math.log(ACTION_LIMIT)
    assert env.action_space.shape is not None
    entropy = env.action_space.shape[0] * (log_std + 0.5 * math.log(2.0 * math.pi * math.e))
    agent = SAC("MlpPolicy", env, learning_rate=recipe.learning_rate, buffer_size=min(recipe.decisions, _MOST_MEMORY),
                learning_starts=env.num_envs * recipe.n_steps, batch_size=recipe.batch, gamma=1.0, train_freq=1,
                gradient_steps=recipe.epochs, ent_coef="auto_0.001", target_entropy=entropy, seed=recipe.seed,
                device="cpu", policy_kwargs={"net_arch": [recipe.width] * 2, "activation_fn": torch.nn.Tanh}
                )  # fmt: skip
    _silence(agent.policy.actor.mu)
    _silence(agent.policy.actor.log_std, log_std)  # type: ignore[arg-type]
    return agent


def _make_ppo(env: VecEnv, recipe: Recipe) -> PPO:
    first, last = recipe.learning_rate, 1e-5

    def rate(left: float) -> float:
        return last + (first - last) * left

    shape: dict[str, Any] = {"net_arch": {"pi": [recipe.width] * 2, "vf": [recipe.width] * 2}}
    if recipe.kinds:
        shape = {"net_arch": {"pi": [], "vf": [_CRITIC_WIDTH] * 2}, "kinds": recipe.kinds,
                 "n_kinds": recipe.n_kinds, "width": recipe.width}  # fmt: skip
    policy = SharedPolicy if recipe.kinds else "MlpPolicy"
    agent = PPO(policy, env, learning_rate=rate, n_steps=recipe.n_steps, batch_size=recipe.batch,
                n_epochs=recipe.epochs, gamma=1.0, gae_lambda=0.9, clip_range=0.2, ent_coef=0.0, vf_coef=0.5,
                max_grad_norm=1.0, seed=recipe.seed, device="cpu", verbose=0,
                policy_kwargs={**shape, "activation_fn": torch.nn.Tanh,
                               "log_std_init": recipe.log_std, "ortho_init": True})  # fmt: skip
    if not recipe.kinds:
        _silence(agent.policy.action_net)
    return agent


def agent_bytes(agent: Agent) -> bytes:
    """A checkpoint: weights and the optimiser's state."""
    buffer = io.BytesIO()
    agent.save(buffer)
    return buffer.getvalue()


def agent_from(checkpoint: bytes, env: VecEnv, algorithm: str = "ppo") -> Agent:
    """The agent of a checkpoint, on ``env``; the memory of SAC is not in it and fills anew."""
    torch.set_num_threads(1)
    kind = SAC if algorithm == "sac" else PPO
    return _quiet(kind.load(io.BytesIO(checkpoint), env=env, device="cpu"))


def log_to(agent: Agent, folder: Path) -> None:
    """Write the agent's own figures (losses, entropy, divergence) to ``folder`` for TensorBoard."""
    agent.set_logger(configure_logger(str(folder), ["tensorboard"]))


class _Watch(BaseCallback):
    def __init__(self, look: Callable[[Agent, int], None]) -> None:
        super().__init__()
        self._look = look

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        assert isinstance(self.model, PPO | SAC)
        self._look(self.model, self.num_timesteps)


def train_agent(agent: Agent, recipe: Recipe, look: Callable[[Agent, int], None]) -> None:
    """Train up to ``recipe.decisions`` in all; ``look(agent, decisions so far)`` is called between updates.

    Raises CheckFailedError when decisions or their spread are no numbers any more.
    """
    left = recipe.decisions - agent.num_timesteps
    try:
        if left > 0:
            agent.learn(left, callback=_Watch(look), reset_num_timesteps=False, progress_bar=False)
    except ValueError as error:
        if "of distribution" not in str(error):  # the one place where torch notices numbers that are none
            raise
        raise CheckFailedError(
            f"the training diverged after {agent.num_timesteps} decisions: decisions or their spread are not finite; "
            "lower learning_rate"
        ) from error
    look(agent, agent.num_timesteps)


def as_lists(layers: tuple[Layer, ...]) -> list[dict[str, list[list[float]] | list[float]]]:
    """Layers as JSON values, rounded to float32's digits."""
    return [{"weight": [[float(f"{v:.7g}") for v in row] for row in layer.weight],
             "bias": [float(f"{v:.7g}") for v in np.asarray(layer.bias)]} for layer in layers]  # fmt: skip
