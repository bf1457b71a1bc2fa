"""A dataset as a site of the scheduling model, for the day after it; everything assumed on the way is put in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.config.energy import SiteConfig, SiteMachine
from nexova_sim.config.plan import PlanConfig, ResolvedPlan
from nexova_sim.dataset.grid import TimeGrid, gather
from nexova_sim.dataset.read import Dataset
from nexova_sim.dataset.rows import channel_names
from nexova_sim.kernels.energy import NORMAL, OFF_PEAK, PEAK, SHIFTS
from nexova_sim.run.plan_usual import (
    FIRST_HOUR,
    HOURS,
    Tomorrow,
    expected_ambient_c,
    last_statuses,
    read_forecast,
    tomorrow_of,
    usual,
    wandering_kw,
    week_hours,
)
from nexova_sim.schedule.tomorrow import Outlook, load_from_power, price_levels, tariff_of

_SHIFT_H = 8.0
_LEAST_CONTRACT_KW = 0.1
_SHOWN = 3
_RUNS = 0.02  # least share of an hour ONLINE that counts as running
_RATED_QUANTILE = 0.99
_SPREAD = ("base_swing_kw", "base_noise_kw", "base_least_kw")


class Placed(NamedTuple):
    """A machine of the dataset in the model. ``usual_kw`` (24,) is its mean power at those hours so far."""

    ident: str
    kind: str
    site_kind: str
    rated_kw: float
    is_rated_known: bool
    work_h: np.ndarray
    usual_kw: np.ndarray
    temp_c: float
    last_status: str
    seen_h: int


class Mapping(NamedTuple):
    """The dataset as the model sees it: machines in the model's order, site, outlook, and what was assumed."""

    machines: tuple[Placed, ...]
    factory: str
    day: Tomorrow
    site: SiteConfig
    outlook: Outlook
    usual_kw: np.ndarray
    base_from: str
    assumed: tuple[str, ...]
    left_out: dict[str, str]


def map_dataset(dataset: Dataset, resolved: ResolvedPlan, forecast: Path | None = None) -> Mapping:
    """Put the largest users of one factory on the scheduling model; the factory's other machines are its base load.

    Raises DataError when the dataset has no energy to schedule, ConfigError for an unknown factory or kind.
    """
    config = resolved.plan
    if "power_kw" not in channel_names(dataset):
        raise DataError(f"{dataset.folder}: has no channel power_kw, so there is no energy to schedule")
    if config.other_kind not in resolved.site.kinds:
        raise ConfigError(f"other_kind {config.other_kind!r}: {suggest(config.other_kind, resolved.site.kinds)}")
    channels = ("power_kw", "temperature_c") if "temperature_c" in channel_names(dataset) else ("power_kw",)
    grid = gather(dataset, 3600.0, channels)
    rows = {row["machine_id"]: row for row in dataset.read("machines").to_pylist()}
    factory, mine = _pick_factory(dataset, config, grid, rows)
    zones = {row["factory_id"]: row["timezone"] for row in dataset.read("factories").to_pylist()}
    day = tomorrow_of(dataset, zones.get(factory) or "UTC")
    clock = week_hours(grid, day.timezone)
    placed, left_out, status = [], {}, last_statuses(dataset)
    for number in mine:
        ident = grid.machine_ids[number]
        found = _place(grid, number, rows[ident], resolved, (clock, day.week_hours))
        if isinstance(found, str):
            left_out[ident] = found
        else:
            placed.append(found._replace(last_status=status.get(ident, "unknown")))
    if not placed:
        why = "; ".join(list(left_out.values())[:_SHOWN])
        raise DataError(
            f"{dataset.folder}: no machine of factory {factory!r} shows enough use of energy to plan; {why}"
        )
    predicted = {} if forecast is None else read_forecast(forecast, day)
    placed = [_forecast_placed(p, predicted.get(p.ident), resolved.site) for p in placed]
    placed.sort(key=lambda p: -float(p.usual_kw.sum()))
    order = list(resolved.site.kinds)
    chosen = sorted(placed[: config.most_machines], key=lambda p: (order.index(p.site_kind), p.ident))
    base = sum((p.usual_kw for p in placed[config.most_machines :]), np.full(HOURS, config.other_load_kw))
    others = [grid.machine_ids.index(p.ident) for p in placed[config.most_machines :]]
    site = _site(resolved, chosen, base, wandering_kw(grid.mean[0, others].astype(float), clock) if others else None)
    ambient = expected_ambient_c(dataset, factory, day)
    outlook, site = _outlook(config, site, chosen, (base, ambient))
    n_told = sum(p.ident in predicted for p in placed)
    told = "hour-of-week mean" if forecast is None else f"forecast of {n_told} of {len(placed)} machines"
    words = _words(config, site, chosen, (len(placed) - len(chosen), ambient is not None, told))
    usual_kw = np.stack([p.usual_kw for p in chosen])
    return Mapping(tuple(chosen), factory, day, site, outlook, usual_kw, told, words, left_out)


def _pick_factory(dataset: Dataset, config: PlanConfig, grid: TimeGrid, rows: dict[str, dict[str, Any]]
                  ) -> tuple[str, list[int]]:  # fmt: skip
    """The factory to plan and the places of its machines in the grid."""
    by_factory: dict[str, list[int]] = {}
    for number, ident in enumerate(grid.machine_ids):
        if ident in rows:
            by_factory.setdefault(str(rows[ident]["factory_id"] or ""), []).append(number)
    if not by_factory:
        raise DataError(f"{dataset.folder}: has no machines; there is nothing to schedule")
    if config.factory is not None and config.factory not in by_factory:
        raise ConfigError(f"factory {config.factory!r}: is not in the dataset; {suggest(config.factory, by_factory)}")
    energy = {name: float(np.nansum(grid.energy_kwh[places])) for name, places in by_factory.items()}
    name = config.factory or max(energy, key=lambda n: energy[n])
    return name, by_factory[name]


def _place(grid: TimeGrid, number: int, row: dict[str, Any], resolved: ResolvedPlan,
           hours: tuple[np.ndarray, np.ndarray]) -> Placed | str:  # fmt: skip
    """One machine on the model, or in words why not."""
    power = np.maximum(grid.mean[0, number].astype(float), 0.0)
    seen = np.isfinite(power)
    if not seen.any() or float(power[seen].max()) <= 0.0:
        return f"{row['machine_id']}: no reading of power above zero"
    if float(seen.mean()) < resolved.plan.least_seen_frac:
        return f"{row['machine_id']}: readings in only {100.0 * seen.mean():.0f} % of the hours"
    online = np.nan_to_num(grid.online_frac[number].astype(float))
    rated = row["rated_kw"]
    is_known = rated is not None and np.isfinite(rated) and rated > 0.0
    rated_kw = float(rated) if is_known else float(np.quantile(power[seen], _RATED_QUANTILE))
    if rated_kw <= 0.0:
        return f"{row['machine_id']}: stands nearly always, and no rated power is known"
    wanted = str(row["kind"] or "").lower()
    kind = wanted if wanted in resolved.site.kinds else resolved.plan.other_kind
    work = _work_h(power, online, rated_kw, kind, resolved.site)
    clock, asked = hours
    temps = grid.mean[1, number] if len(grid.mean) > 1 else np.full(len(power), np.nan)
    known = np.flatnonzero(np.isfinite(temps))
    return Placed(str(row["machine_id"]), str(row["kind"] or ""), kind, rated_kw, bool(is_known),
                  usual(work[None], clock, asked)[0], usual(power[None], clock, asked)[0],
                  float(temps[known[-1]]) if len(known) else float("nan"), "unknown", int(seen.sum()))  # fmt: skip


def _work_h(power_kw: np.ndarray, online_frac: np.ndarray, rated_kw: float, kind: str, site: SiteConfig) -> np.ndarray:
    """Work of each hour in hours at rated load: the curve of the kind read backwards over the running part."""
    curve, most = site.kinds[kind], site.production.load_frac[1]
    share = power_kw / np.maximum(online_frac, _RUNS) / rated_kw
    load = load_from_power(share, curve.fixed_frac, curve.square_frac, most)
    return np.where(np.isfinite(power_kw), np.where(online_frac > _RUNS, load * online_frac, 0.0), np.nan)


def _forecast_placed(placed: Placed, kwh: np.ndarray | None, site: SiteConfig) -> Placed:
    """The machine with its forecast energy: work moves in proportion to the energy it usually takes."""
    if kwh is None:
        return placed
    most = site.production.load_frac[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = placed.work_h * kwh / placed.usual_kw
    work = np.where(placed.usual_kw > 1e-9, moved, np.minimum(kwh / placed.rated_kw, most))
    return placed._replace(work_h=np.minimum(work, most), usual_kw=kwh)


def _site(resolved: ResolvedPlan, chosen: list[Placed], base_kw: np.ndarray, noise_kw: float | None) -> SiteConfig:
    """The model's site with the machines of the dataset; contract, and what is not measured, in its proportions."""
    base, mean = resolved.site, float(base_kw.mean())
    rated_kw = sum(p.rated_kw for p in chosen)
    contract = max(_LEAST_CONTRACT_KW, resolved.plan.contract_frac * rated_kw, mean)
    raw = base.model_dump()
    around = raw["surroundings"]
    scale = mean / around["base_kw"] if around["base_kw"] > 0.0 else 0.0
    raw |= {
        "name": "plan",
        "machines": [SiteMachine(id=f"m{n}", kind=p.site_kind, rated_kw=min(p.rated_kw, 1e5)).model_dump()
                     for n, p in enumerate(chosen)],
        "tariff": raw["tariff"] | {"contract_kw": contract},
        "surroundings": around | {"base_kw": mean} | {key: scale * around[key] for key in _SPREAD}
        | ({} if noise_kw is None else {"base_noise_kw": noise_kw}),
    }  # fmt: skip
    return SiteConfig.model_validate(raw)


def _prices(config: PlanConfig, site: SiteConfig) -> tuple[np.ndarray, np.ndarray, SiteConfig]:
    """Price and level by hour from 06:00, and the site with the factors of those prices."""
    tariff = site.tariff
    if config.prices_usd_per_kwh:
        price = np.array(config.prices_usd_per_kwh)
        level = price_levels(price)
        factors = np.clip(tariff_of(price, level, tariff.price_usd_per_kwh), -10.0, 100.0)
        own = {"off_peak_factor": float(factors[OFF_PEAK]), "peak_factor": float(factors[PEAK])}
        return price, level, site.model_copy(update={"tariff": tariff.model_copy(update=own)})
    hours = (FIRST_HOUR + np.arange(HOURS)) % HOURS
    level = np.full(HOURS, NORMAL, np.int8)
    level[np.isin(hours, tariff.off_peak_hours)] = OFF_PEAK
    level[np.isin(hours, peak_hours(config, site))] = PEAK
    factor = np.array([tariff.off_peak_factor, 1.0, tariff.peak_factor])
    return tariff.price_usd_per_kwh * factor[level], level, site


def peak_hours(config: PlanConfig, site: SiteConfig) -> list[int]:
    """Local hours at the peak factor: those of the plan, or the middle of the window the site draws from."""
    if config.peak_hours is not None:
        return list(config.peak_hours)
    first = round(sum(site.tariff.peak_start_hour) / 2.0)
    return [(first + h) % HOURS for h in range(round(sum(site.tariff.peak_hours) / 2.0))]


def _outlook(config: PlanConfig, site: SiteConfig, chosen: list[Placed],
             expected: tuple[np.ndarray, np.ndarray | None]) -> tuple[Outlook, SiteConfig]:  # fmt: skip
    price, level, site = _prices(config, site)
    base, ambient = expected
    around, rules = site.surroundings, site.production
    if ambient is None:
        turn = 2.0 * np.pi * (FIRST_HOUR + np.arange(HOURS) - 9.0) / HOURS
        ambient = sum(around.ambient_c) / 2.0 + around.ambient_swing_k * np.sin(turn)
    work = np.stack([p.work_h for p in chosen]).reshape(len(chosen), SHIFTS, -1).sum(axis=2)
    quota = np.minimum(work, min(config.most_quota_frac, rules.load_frac[1]) * _SHIFT_H).T
    temp = np.array([ambient[0] if not np.isfinite(p.temp_c) else p.temp_c for p in chosen])
    out_h = np.array([config.repair_h if p.last_status == "maintenance" else 0.0 for p in chosen])
    stock = np.full(len(chosen), min(config.stock_h, rules.buffer_h))
    return Outlook(price, level, base, ambient, quota, temp, stock, out_h), site


def _words(config: PlanConfig, site: SiteConfig, chosen: list[Placed], seen: tuple[int, bool, str]) -> tuple[str, ...]:
    """What was assumed, in sentences."""
    n_base, has_weather, told = seen
    as_other = [p.ident for p in chosen if p.site_kind != p.kind.lower()]
    no_plate = [p.ident for p in chosen if not p.is_rated_known]
    work = np.stack([p.work_h for p in chosen]).reshape(len(chosen), SHIFTS, -1).sum(axis=2)
    cut = [p.ident for p, row in zip(chosen, work, strict=True)
           if (row > min(config.most_quota_frac, site.production.load_frac[1]) * _SHIFT_H + 1e-9).any()]  # fmt: skip
    words = [
        f"work of each shift: {told}, turned into hours at rated load by the kind's part-load curve; a shift may "
        f"move it within its eight hours, and up to {site.production.buffer_h:g} h ahead of them",
        f"base load: {n_base} other machines of the factory and {config.other_load_kw:g} kW; contract "
        f"{site.tariff.contract_kw:.1f} kW, {site.tariff.demand_usd_per_kw:g} $ per kW and day above it",
        "prices: the 24 given" if config.prices_usd_per_kwh else
        f"prices: {site.tariff.price_usd_per_kwh:g} $/kWh, x {site.tariff.peak_factor:g} at local hours "
        f"{', '.join(map(str, peak_hours(config, site)))}, x {site.tariff.off_peak_factor:g} off-peak",
        "power curves, temperature rise, start and shortage costs: those of the site's kinds",
        "ambient temperature: " + ("as in the last week" if has_weather else "the site's middle, no weather is known"),
        f"stock at 06:00: {config.stock_h:g} h of rated work; all machines off; no outages unless in repair",
    ]  # fmt: skip
    for names, text in ((as_other, f"unknown kind, planned like {config.other_kind}"),
                        (no_plate, "no rated power known, the highest usual power stands in"),
                        (cut, f"more work than {config.most_quota_frac:g} of a shift, cut")):  # fmt: skip
        if names:
            words.append(f"{text}: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}")
    return tuple(words)
