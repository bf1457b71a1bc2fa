"""PPO of stable-baselines3 on the bids: zero-initialised, checkpointed, exported as plain arrays."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from nexova_sim.schedule.refine import Layer

Agent = PPO  # what is trained, named for the rooms that do not import the library


class Recipe(NamedTuple):
    """Settings of a training; ``decisions`` in all, ``n_steps`` of an hour between two updates."""

    decisions: int
    n_steps: int
    batch: int
    epochs: int
    learning_rate: float
    log_std: float
    seed: int


def export_layers(agent: PPO) -> tuple[Layer, ...]:
    """The deterministic policy as plain arrays, in the order they are applied."""
    linear = [x for x in (*agent.policy.mlp_extractor.policy_net, agent.policy.action_net)
              if isinstance(x, torch.nn.Linear)]  # fmt: skip
    return tuple(Layer(x.weight.detach().numpy().copy(), x.bias.detach().numpy().copy()) for x in linear)


def make_agent(env: VecEnv, recipe: Recipe) -> PPO:
    """An agent whose deterministic decisions are all zero; sets torch to one thread."""
    torch.set_num_threads(1)
    first, last = recipe.learning_rate, 1e-5

    def rate(left: float) -> float:
        return last + (first - last) * left

    agent = PPO("MlpPolicy", env, learning_rate=rate, n_steps=recipe.n_steps, batch_size=recipe.batch,
                n_epochs=recipe.epochs, gamma=1.0, gae_lambda=0.9, clip_range=0.2, ent_coef=0.0, vf_coef=0.5,
                max_grad_norm=1.0, seed=recipe.seed, device="cpu", verbose=0,
                policy_kwargs={"net_arch": {"pi": [64, 64], "vf": [64, 64]}, "activation_fn": torch.nn.Tanh,
                               "log_std_init": recipe.log_std, "ortho_init": True})  # fmt: skip
    last_layer = agent.policy.action_net
    assert isinstance(last_layer, torch.nn.Linear)
    torch.nn.init.zeros_(last_layer.weight)
    torch.nn.init.zeros_(last_layer.bias)
    return agent


def agent_bytes(agent: PPO) -> bytes:
    """A checkpoint: weights and the optimiser's state."""
    buffer = io.BytesIO()
    agent.save(buffer)
    return buffer.getvalue()


def agent_from(checkpoint: bytes, env: VecEnv) -> PPO:
    """The agent of a checkpoint, on ``env``."""
    torch.set_num_threads(1)
    return PPO.load(io.BytesIO(checkpoint), env=env, device="cpu")


class _Watch(BaseCallback):
    def __init__(self, look: Callable[[PPO, int], None]) -> None:
        super().__init__()
        self._look = look

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        assert isinstance(self.model, PPO)
        self._look(self.model, self.num_timesteps)


def train_agent(agent: PPO, recipe: Recipe, look: Callable[[PPO, int], None]) -> None:
    """Train up to ``recipe.decisions`` in all; ``look(agent, decisions so far)`` is called between updates."""
    left = recipe.decisions - agent.num_timesteps
    if left > 0:
        agent.learn(left, callback=_Watch(look), reset_num_timesteps=False, progress_bar=False)
    look(agent, agent.num_timesteps)


def as_lists(layers: tuple[Layer, ...]) -> list[dict[str, list[list[float]] | list[float]]]:
    """Layers as JSON values, rounded to float32's digits."""
    return [{"weight": [[float(f"{v:.7g}") for v in row] for row in layer.weight],
             "bias": [float(f"{v:.7g}") for v in np.asarray(layer.bias)]} for layer in layers]  # fmt: skip
