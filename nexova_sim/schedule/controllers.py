"""Controllers behind one Protocol: what they see is the batch before a step, what they give is every machine's load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np

from nexova_sim.kernels.energy import (
    PEAK,
    S_STOCK_H,
    S_TEMP_C,
    S_TRIP,
    SHIFT_STEPS,
    SHIFTS,
    STEP_H,
    STEPS,
    Days,
    Site,
)
from nexova_sim.kernels.energy_bids import bid_loads
from nexova_sim.kernels.energy_rule import rule_loads
from nexova_sim.schedule.batch import Batch, is_over, open_batch, play

_TINY_H = 1e-6


class Controller(Protocol):
    """Anything that schedules a batch of days. ``memory`` is what it handed itself at the step before, None at first.

    ``is_causal`` is False for a controller that looks into the future of the day (an oracle).
    """

    @property
    def name(self) -> str:
        """Short name, unique in an evaluation."""

    @property
    def is_causal(self) -> bool:
        """Whether it uses only what could be known at the step."""

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """Load fractions (m, n) for the next step, and its memory."""


class Played(NamedTuple):
    """What n days under a controller came to.

    ``paid`` (N_COSTS, n) USD, ``n_trips`` (n,) times a machine tripped, ``peak_kw`` (n,) highest site power,
    ``power_kw`` (STEPS, n), ``load_frac`` (STEPS, m, n) as wanted, ``cpu_s`` of the decisions alone.
    """

    paid: np.ndarray
    n_trips: np.ndarray
    peak_kw: np.ndarray
    power_kw: np.ndarray
    load_frac: np.ndarray
    cpu_s: float


def no_steps(done: int, total: int) -> None:
    """Progress callback that shows nothing."""


def play_days(controller: Controller, site: Site, days: Days, progress: Callable[[int, int], None] = no_steps
              ) -> Played:  # fmt: skip
    """Play whole days under a controller; days do not influence each other."""
    batch = open_batch(site, days)
    m, n = days.start.shape[1:]
    trips, power, wanted = np.zeros(n, np.int64), np.zeros((STEPS, n)), np.zeros((STEPS, m, n))
    memory, cpu_s = None, 0.0
    while not is_over(batch):
        started = time.process_time()
        loads, memory = controller.loads(batch, memory)
        cpu_s += time.process_time() - started
        wanted[batch.k] = loads
        batch = play(batch, loads)
        power[batch.k - 1] = batch.total_kw
        trips += (batch.state.machine[S_TRIP] >= site.trip_steps).sum(axis=0)
        progress(batch.k, STEPS)
    return Played(batch.paid.copy(), trips, power.max(axis=0), power, wanted, cpu_s)


class Situation(NamedTuple):
    """What the simple rules look at: ``need_h`` (m, n) still to be made in this shift, ``left_h`` hours of it left."""

    need_h: np.ndarray
    left_h: float
    shift: int
    end: int


def situation(batch: Batch) -> Situation:
    """The present shift of a batch."""
    shift = batch.k // SHIFT_STEPS
    end = SHIFT_STEPS * (shift + 1)
    need = np.maximum(0.0, batch.days.quota_h[shift] - batch.state.machine[S_STOCK_H])
    return Situation(need, (end - batch.k) * STEP_H, shift, end)


class BusinessAsUsual(NamedTuple):
    """Every machine at full load until its quota is met."""

    name: str = "bau"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """1 while there is work, else 0."""
        return np.where(situation(batch).need_h > _TINY_H, 1.0, 0.0), memory


class Flat(NamedTuple):
    """The work of a shift spread evenly over what is left of it."""

    name: str = "flat"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The even pace, at least the least load while there is work."""
        now, site = situation(batch), batch.site
        pace = np.maximum(now.need_h / now.left_h, site.load_min)
        return np.where(now.need_h > _TINY_H, np.minimum(pace, site.load_max), 0.0), memory


class TimeOfUse(NamedTuple):
    """No work in peak hours unless the quota would be missed; stock made ahead of a dear shift; hot machines slower."""

    name: str = "tou"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """Even pace over the hours that are not peak."""
        now, site, days = situation(batch), batch.site, batch.days
        peak = days.level == PEAK
        cheap_h = STEP_H * (~peak[batch.k : now.end]).sum(axis=0)
        at_peak = peak[batch.k]
        pace = np.where(cheap_h > 0.0, now.need_h / np.maximum(cheap_h, STEP_H), 9.0)
        forced = np.maximum(0.0, (now.need_h - cheap_h) / np.maximum(now.left_h - cheap_h, STEP_H))
        u = np.where(at_peak, forced, np.minimum(pace, site.load_max))
        if now.shift + 1 < SHIFTS:
            next_cheap_h = STEP_H * (~peak[now.end : now.end + SHIFT_STEPS]).sum(axis=0)
            quota = days.quota_h[now.shift + 1]
            target = np.clip(quota - 0.8 * next_cheap_h, 0.0, 0.95 * site.buffer_h)
            stock = np.maximum(0.0, batch.state.machine[S_STOCK_H] - days.quota_h[now.shift])
            ahead = (now.need_h + np.maximum(0.0, target - stock)) / np.maximum(cheap_h, STEP_H)
            u = np.where(at_peak, u, np.maximum(u, np.minimum(ahead, 1.0)))
        u = np.where(batch.state.machine[S_TEMP_C] > site.warn_c, np.minimum(u, 0.85), u)
        return np.where(u > 0.02, np.maximum(u, site.load_min), 0.0), memory


class Rule(NamedTuple):
    """The seven-parameter rule (kernels.energy_rule) with its parameters (7,)."""

    params: np.ndarray
    name: str = "rule"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The rule's loads."""
        out = np.zeros(batch.days.start.shape[1:])
        rule_loads(batch.site, batch.days, batch.state, batch.k, self.params, out)
        return out, memory


class Bids(NamedTuple):
    """The bid scheduler (kernels.energy_bids) with its parameters (10 kinds + 9,)."""

    params: np.ndarray
    name: str = "bids"
    is_causal: bool = True

    def loads(self, batch: Batch, memory: Any) -> tuple[np.ndarray, Any]:  # noqa: ANN401
        """The scheduler's loads without any shift of its bids."""
        m, n = batch.days.start.shape[1:]
        out = np.zeros((m, n))
        none, view = np.zeros((4 * m + 1, n)), np.zeros((3 * m + 2, n))
        bid_loads(batch.site, batch.days, batch.state, batch.k, self.params, none, out, view)
        return out, memory


# Controllers without anything to tune; the others come from model files (schedule.modelfile).
FIXED: Mapping[str, Callable[[], Controller]] = MappingProxyType(
    {"bau": BusinessAsUsual, "flat": Flat, "tou": TimeOfUse}
)
TUNED = ("rule", "bids", "context", "ppo", "sac", "ppo_alone", "sac_alone", "ppo_tuned")
