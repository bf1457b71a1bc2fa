"""What an action on a machine means and costs; what ``nexova twin whatif`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.kinds import Component
from nexova_sim.config.strict import Frac, NonNegative, Positive, Strict

Action = Literal["NONE", "MAINTENANCE", "OFFLINE"]
ACTIONS: tuple[Action, ...] = ("NONE", "MAINTENANCE", "OFFLINE")


class WhatIfConfig(Strict):
    """Futures of a machine under each action.

    MAINTENANCE stops the machine for its kind's planned service, costs that service and renews
    ``maintenance_restores``; OFFLINE stops it for ``offline_h`` and renews nothing. ``planned_loss_frac`` of the lost
    production counts while maintenance lasts, since it is announced. ``wear_value_frac`` of the price of a planned
    service is what a wholly worn bearing is worth less at the end; without it a renewal has no value beyond the
    horizon. Bearing faults and imbalance end by themselves with ``fault_end_per_h``, lost cooling with
    ``cooling_end_per_h``; lost cooling tires by ``fatigue_per_lost_cooling_h``.
    """

    horizon_h: Annotated[int, Field(ge=1, le=8766)] = 168
    n_futures: Annotated[int, Field(ge=2, le=65_536)] = 512
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    offline_h: Positive = 24.0
    maintenance_restores: list[Component] = ["bearing", "thermal", "random"]
    planned_loss_frac: Frac = 0.5
    wear_value_frac: NonNegative = 1.0
    price_usd_per_kwh: NonNegative = 0.12
    fatigue_per_lost_cooling_h: NonNegative = 0.025
    fault_end_per_h: NonNegative = 0.007
    cooling_end_per_h: NonNegative = 0.05


def check_actions(names: Sequence[str]) -> tuple[Action, ...]:
    """Actions by name in any spelling of case, all when none is given; ConfigError for another name."""
    known = {action.lower(): action for action in ACTIONS}
    for name in names:
        if name.lower() not in known:
            raise ConfigError(f"--action {name}: there is no such action; {suggest(name.upper(), ACTIONS)}", got=name)
    return tuple(known[name.lower()] for name in names) or ACTIONS
