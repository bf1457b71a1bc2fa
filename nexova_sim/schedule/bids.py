"""Parameters of the bid scheduler and of the seven-parameter rule: names, ranges, hand-set values; fast evaluation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nexova_sim.kernels.energy import N_COSTS, Days, Site
from nexova_sim.kernels.energy_bids import Work, run_bids
from nexova_sim.kernels.energy_rule import run_rule
from nexova_sim.schedule.site import empty_costs, empty_state


class Parameter(NamedTuple):
    """A tunable number: its range, the hand-set value, and what it does."""

    name: str
    low: float
    high: float
    start: float
    meaning: str


KIND_PARAMETERS = (
    Parameter("sharpness", 0.0, 8.0, 3.0, "how strongly work avoids dear hours of the shift"),
    Parameter("margin", -0.3, 0.8, 0.15, "work ahead of the even pace"),
    Parameter("ahead", 0.0, 4.0, 1.0, "stock made ahead, per unit of price gap and next quota"),
    Parameter("load_frac", 0.3, 1.1, 0.8, "load of a pulse; hand-set: least energy per unit of work"),
    Parameter("stay", 0.0, 1.2, 0.4, "a running machine stays on above this part of the pulse"),
    Parameter("start", 0.1, 1.6, 0.8, "a stopped machine starts above this part of the pulse"),
    Parameter("most_frac", 0.6, 1.1, 1.0, "highest load"),
    Parameter("hot_frac", 0.5, 1.1, 0.8, "highest load while hot"),
    Parameter("least_frac", 0.3, 1.0, 0.4, "throttled below this load it stays off"),
    Parameter("rank", -1.0, 1.0, 0.0, "place in the order of admission"),
)
SITE_PARAMETERS = (
    Parameter("cap_1", 0.7, 2.0, 1.15, "power cap in the first shift, over the mean power still needed"),
    Parameter("cap_2", 0.7, 2.0, 1.15, "the same in the second shift"),
    Parameter("cap_3", 0.7, 2.0, 1.15, "the same in the third shift"),
    Parameter("on", 0.0, 1.0, 0.2, "running machines come first"),
    Parameter("price", 0.0, 8.0, 2.0, "less work while the price is above plan"),
    Parameter("hot_c", 66.0, 76.0, 73.0, "temperature from which a machine counts as hot"),
    Parameter("reserve", 0.0, 0.57, 0.07, "power kept free, in base loads"),
    Parameter("base", 0.57, 1.71, 1.07, "base load expected, in base loads"),
    Parameter("must", 0.0, 0.5, 0.1, "how far urgent work may exceed the cap"),
)
RULE_PARAMETERS = (
    Parameter("sharpness", 0.0, 6.0, 3.0, "how strongly work avoids dear hours of the shift"),
    Parameter("margin", 0.0, 0.6, 0.3, "work ahead of the even pace"),
    Parameter("ahead", 0.0, 4.0, 2.0, "stock made ahead, per unit of price gap and next quota"),
    Parameter("on", 0.2, 1.0, 0.6, "below this part of the least load a machine stays off"),
    Parameter("most_frac", 0.8, 1.1, 0.95, "highest load"),
    Parameter("hot_frac", 0.5, 1.0, 0.75, "highest load while hot"),
    Parameter("cap", 0.8, 2.0, 1.4, "power cap over the mean power still needed"),
)


def efficient_load(site: Site, kind: int) -> float:
    """Load fraction of least energy per unit of work of a kind, within the site's limits: minimum of power(u)/u."""
    j = int(np.flatnonzero(site.kind == kind)[0]) if (site.kind == kind).any() else -1
    if j < 0 or site.square[j] <= 0.0:
        return site.load_max
    return float(np.clip(np.sqrt(site.fixed[j] / site.square[j]), site.load_min, site.load_max))


def bid_names(kinds: list[str]) -> list[str]:
    """Names of all parameters of a site with these kinds: ten per kind, then nine."""
    return [*(f"{kind}.{p.name}" for kind in kinds for p in KIND_PARAMETERS), *(p.name for p in SITE_PARAMETERS)]


def bid_ranges(n_kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of every parameter, (10 kinds + 9,) each."""
    rows = [*KIND_PARAMETERS * n_kinds, *SITE_PARAMETERS]
    return np.array([p.low for p in rows]), np.array([p.high for p in rows])


def hand_set_bids(site: Site, n_kinds: int) -> np.ndarray:
    """The scheduler before tuning: pulses at each kind's efficient load, everything else one value for all kinds."""
    values = []
    for kind in range(n_kinds):
        row = {p.name: p.start for p in KIND_PARAMETERS}
        row["load_frac"] = min(max(efficient_load(site, kind), 0.3), 1.1)
        values += list(row.values())
    return np.array([*values, *(p.start for p in SITE_PARAMETERS)])


def rule_ranges() -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of the rule's parameters, (7,) each."""
    return np.array([p.low for p in RULE_PARAMETERS]), np.array([p.high for p in RULE_PARAMETERS])


def hand_set_rule() -> np.ndarray:
    """The middle of the rule's ranges, (7,)."""
    return np.array([p.start for p in RULE_PARAMETERS])


def make_work(n_machines: int, n: int) -> Work:
    """Scratch of the batched controllers for ``n`` days."""
    return Work(empty_state(n_machines, n), np.zeros((n_machines, n)), np.zeros(n), empty_costs(n),
                np.zeros((3 * n_machines + 2, n)))  # fmt: skip


def bids_cost(site: Site, days: Days, params: np.ndarray) -> np.ndarray:
    """Cost split of the days under every parameter row of ``params`` (c, p): (c, N_COSTS, n) USD."""
    m, n = days.start.shape[1:]
    paid = np.zeros((len(params), N_COSTS, n))
    run_bids(site, days, np.ascontiguousarray(params, float), np.zeros((4 * m + 1, n)), make_work(m, n), paid)
    return paid


def rule_cost(site: Site, days: Days, params: np.ndarray) -> np.ndarray:
    """Cost split of the days under every parameter row of ``params`` (c, 7): (c, N_COSTS, n) USD."""
    m, n = days.start.shape[1:]
    paid = np.zeros((len(params), N_COSTS, n))
    run_rule(site, days, np.ascontiguousarray(params, float), make_work(m, n), paid)
    return paid
