"""A policy compiled for the machines and channels of a dataset: arrays for the kernel, names for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.alert import SEVERITIES, AlertPolicy, AppliesTo, Rule
from nexova_sim.dataset.read import Dataset
from nexova_sim.dataset.rows import CHANNELS, channel_names
from nexova_sim.kernels import alert_state as c
from nexova_sim.kernels.alert_state import AlertRules
from nexova_sim.schema.channels import STATUSES

_SIGNALS = ("value", "baseline_percent", "trend")
_BASELINES = ("nominal", "hour_of_week", "hour_of_week_or_nominal")


class Machines(NamedTuple):
    """What rules may ask about m machines; ``baseline_kw`` (m,) float64, NaN where unknown."""

    ids: tuple[str, ...]
    kinds: tuple[str, ...]
    factories: tuple[str, ...]
    baseline_kw: np.ndarray


class Compiled(NamedTuple):
    """A policy ready to run: ``channels`` are read in that order, ``units`` belong to the rules' signals."""

    policy: AlertPolicy
    machines: Machines
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rules: AlertRules
    learns: bool


def read_machines(dataset: Dataset) -> Machines:
    """Ids, kinds, factories and baselines of a dataset's machines, in the order of its machine codes."""
    table = dataset.read("machines", columns=["machine_id", "kind", "factory_id", "baseline_kw"])
    kw = np.array([np.nan if v is None else v for v in table["baseline_kw"].to_pylist()], np.float64)
    words = [tuple(v or "" for v in table[name].to_pylist()) for name in ("machine_id", "kind", "factory_id")]
    return Machines(words[0], words[1], words[2], kw)


def channel_units(dataset: Dataset) -> dict[str, str]:
    """Unit of every numeric channel of the readings, "1" where none is given."""
    schema = dataset.schema("readings")
    units = {}
    for name in (*channel_names(dataset), "runtime_h"):
        meta = schema.field(name).metadata or {} if name in schema.names else {}
        units[name] = meta.get(b"unit", b"1").decode()
    return units


def compile_policy(policy: AlertPolicy, dataset: Dataset) -> Compiled:
    """``policy`` for the machines and channels of ``dataset``; ConfigError names what it asks for in vain."""
    return compile_rules(policy, read_machines(dataset), channel_units(dataset))


def compile_rules(policy: AlertPolicy, machines: Machines, units: dict[str, str]) -> Compiled:
    """``policy`` for ``machines`` and the channels in ``units`` (channel to unit)."""
    channels = _channels(policy, units)
    table = np.zeros((len(machines.ids), len(policy.rules), c.N_TABLE))
    table[:, :, c.BASELINE_KW] = machines.baseline_kw[:, None]
    for r, item in enumerate(policy.rules):
        _fill_rule(item, channels, table[:, r])
        _fill_policy(policy, table[:, r])
        mask = _applies(item, machines, policy.name)
        # Without a baseline the signal is never known: rather not asked at all, and reported.
        if item.signal == "baseline_percent" and item.baseline == "nominal":
            mask &= machines.baseline_kw > 0.0
        table[:, r, c.APPLIES] = mask & (item.channel in channels)
    learns = any(r.signal == "baseline_percent" and r.baseline != "nominal" for r in policy.rules)
    units_of = tuple(_unit(r, units) for r in policy.rules)
    return Compiled(policy, machines, channels, units_of, AlertRules(table, _shelves(policy, machines)), learns)


def _ms(seconds: float) -> int:
    return round(seconds * 1000.0)


def _channels(policy: AlertPolicy, units: dict[str, str]) -> tuple[str, ...]:
    """Channels to read, power first because the kernel learns baselines from it."""
    for item in policy.rules:
        if item.channel not in (*units, *CHANNELS):
            raise ConfigError(
                f"policy {policy.name}: rule {item.name}: channel {item.channel!r} is not in the readings; "
                f"{suggest(item.channel, units)}",
                got=item.channel,
            )
    wanted = dict.fromkeys(["power_kw", *(r.channel for r in policy.rules)])
    return tuple(name for name in wanted if name in units)


def _unit(rule: Rule, units: dict[str, str]) -> str:
    unit = units.get(rule.channel, "1")
    if rule.signal == "baseline_percent":
        return "%"
    return f"{unit}/h" if rule.signal == "trend" else unit


def _fill_rule(item: Rule, channels: Sequence[str], out_rows: np.ndarray) -> None:
    sign = 1.0 if item.compare == "above" else -1.0
    first = item.levels[0]
    out_rows[:, c.CHANNEL] = channels.index(item.channel) if item.channel in channels else 0
    out_rows[:, c.SIGNAL] = _SIGNALS.index(item.signal)
    out_rows[:, c.SIGN] = sign
    out_rows[:, c.REPEATS] = item.repeat == "reading"
    out_rows[:, c.N_LEVELS] = len(item.levels)
    out_rows[:, c.BASELINE] = _BASELINES.index(item.baseline)
    out_rows[:, c.OFF_DELAY] = _ms(item.off_delay_s)
    out_rows[:, c.FILTER] = _ms(item.filter_s)
    out_rows[:, c.WINDOW] = _ms(item.window_s)
    out_rows[:, c.CLEAR] = sign * (first.limit if first.clear is None else first.clear)
    for k, status in enumerate(STATUSES):
        out_rows[:, c.ONLINE_TOO + k] = not item.applies_to.status or status in item.applies_to.status
    for k, step in enumerate(item.levels):
        out_rows[:, c.LIMIT + k] = sign * step.limit
        out_rows[:, c.ON_DELAY + k] = _ms(item.on_delay_s if step.on_delay_s is None else step.on_delay_s)
        out_rows[:, c.SEVERITY + k] = SEVERITIES.index(step.severity)


def _fill_policy(policy: AlertPolicy, out_rows: np.ndarray) -> None:
    out_rows[:, c.STARTUP] = _ms(policy.startup_s)
    out_rows[:, c.MAX_GAP] = _ms(policy.missing.max_gap_s)
    out_rows[:, c.RESOLVE_AFTER] = _ms(policy.missing.resolve_after_s)
    out_rows[:, c.HOLDS] = policy.on_stop == "hold"
    out_rows[:, c.MUTES] = policy.critical_mutes
    out_rows[:, c.GROUP] = 0 if policy.group is None else _ms(policy.group.window_s)
    if policy.flap is not None:
        out_rows[:, c.FLAP_RAISES] = policy.flap.raises
        out_rows[:, c.FLAP_WINDOW] = _ms(policy.flap.window_s)
        out_rows[:, c.FLAP_QUIET] = _ms(policy.flap.quiet_s)


def _applies(item: Rule, machines: Machines, policy: str) -> np.ndarray:
    wanted: AppliesTo = item.applies_to
    mask = np.ones(len(machines.ids), np.bool_)
    for what, names, values in (
        ("kinds", wanted.kinds, machines.kinds),
        ("factories", wanted.factories, machines.factories),
        ("machines", wanted.machines, machines.ids),
    ):
        known = {v.lower() for v in values}
        for name in names:
            if name.lower() not in known:
                raise ConfigError(
                    f"policy {policy}: rule {item.name}: applies_to.{what}: {name!r} is not in this dataset; "
                    f"{suggest(name, set(values))}",
                    got=name,
                )
        if names:
            lower = {n.lower() for n in names}
            mask &= np.array([v.lower() in lower for v in values], np.bool_)
    return mask


def _shelves(policy: AlertPolicy, machines: Machines) -> np.ndarray:
    """What operators have put aside: (shelves, 4) machine and rule (-1: all), from, until."""
    place = {name: m for m, name in enumerate(machines.ids)}
    names = [r.name for r in policy.rules]
    rows = np.empty((len(policy.shelves), 4))
    for number, shelf in enumerate(policy.shelves):
        if shelf.machine is not None and shelf.machine not in place:
            raise ConfigError(
                f"policy {policy.name}: shelves.{number}: machine {shelf.machine!r} is not in this dataset; "
                f"{suggest(shelf.machine, place)}",
                got=shelf.machine,
            )
        rows[number, c.SHELF_MACHINE] = -1 if shelf.machine is None else place[shelf.machine]
        rows[number, c.SHELF_RULE] = -1 if shelf.rule is None else names.index(shelf.rule)
        rows[number, c.SHELF_FROM] = round(shelf.start.timestamp() * 1000)
        rows[number, c.SHELF_UNTIL] = round(shelf.until.timestamp() * 1000)
    return rows
