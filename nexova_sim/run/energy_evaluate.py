"""``nexova energy evaluate``: controllers on the same held-out days, with intervals over seeds and days."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.base.hashing import code_hash, hash_file, hash_value, run_id
from nexova_sim.config.energy import SiteConfig
from nexova_sim.config.load import find_config
from nexova_sim.config.study import Part, ResolvedEvaluate, StudyConfig, YardstickConfig
from nexova_sim.dataset.stage import is_same, staged
from nexova_sim.kernels.energy import Days, Site
from nexova_sim.run.energy import ROOMS, EnergyResult, Progress, config_text, json_text, read_summary, seal, write_texts
from nexova_sim.schedule.compare import Entry, against_yardsticks, costs_of, day_profile, describe_entry, differences
from nexova_sim.schedule.controllers import FIXED, TUNED, Bids, Controller, play_days
from nexova_sim.schedule.lookahead import Lookahead, Search
from nexova_sim.schedule.modelfile import load_model, make_controller
from nexova_sim.schedule.refine import Refined
from nexova_sim.schedule.shared import Shared
from nexova_sim.schedule.site import make_site
from nexova_sim.schedule.study import held_out_days, locked_test_days
from nexova_sim.schedule.yardstick import Extent, measure_days

FORMAT = "nexova-energy-evaluate"
PARTS: tuple[Part, ...] = ("validation", "test")


class Contestant(NamedTuple):
    """A method: its name, a controller per training seed, and how each was made."""

    name: str
    controllers: tuple[Controller, ...]
    made: tuple[Mapping[str, Any], ...]


def model_paths(resolved: ResolvedEvaluate) -> dict[str, list[Path]]:
    """The model files of every tuned method that is asked for; ConfigError naming what is missing or unknown."""
    evaluate = resolved.evaluate
    known = [*FIXED, *TUNED]
    for name in (*evaluate.controllers, *evaluate.models):
        if name not in known:
            raise ConfigError(f"controllers: {name!r} is no controller; {suggest(name, known)}", got=name)
    doubled = {name for name in evaluate.controllers if evaluate.controllers.count(name) > 1}
    if doubled:
        raise ConfigError(f"controllers: {', '.join(sorted(doubled))} stands twice")
    if evaluate.baseline not in evaluate.controllers:
        raise ConfigError(f"baseline {evaluate.baseline!r}: is not among the controllers: {evaluate.controllers}")
    for name in evaluate.also_against:
        if name not in evaluate.controllers:
            raise ConfigError(f"also_against: {name!r} is not among the controllers: {evaluate.controllers}")
    yardsticks = evaluate.yardsticks
    if yardsticks is not None and yardsticks.lookahead is not None and "bids" not in evaluate.controllers:
        raise ConfigError(
            f"yardsticks.lookahead: it looks ahead with the tuned scheduler, but 'bids' is not among the controllers: "
            f"{evaluate.controllers}; add it with its models, or leave lookahead out"
        )
    paths = {}
    for name in evaluate.controllers:
        if name in TUNED:
            files = evaluate.models.get(name, [])
            if not files:
                raise ConfigError(f"models.{name}: no model file is given; make one with 'nexova energy tune'")
            paths[name] = [find_config(file, Path(resolved.folder)) for file in files]
    return paths


def contestants(resolved: ResolvedEvaluate, site: SiteConfig) -> list[Contestant]:
    """Every method of the comparison, ready to run on ``site``; DataError for a model file that does not fit it."""
    paths = model_paths(resolved)
    found = []
    for name in resolved.evaluate.controllers:
        if name in FIXED:
            found.append(Contestant(name, (FIXED[name](),), ()))
            continue
        models = [load_model(path) for path in paths[name]]
        wrong = [path for path, model in zip(paths[name], models, strict=True) if model.method != name]
        if wrong:
            raise ConfigError(f"models.{name}: {wrong[0]} holds another method; list it under that method's name")
        made = tuple(make_controller(m, site, p) for m, p in zip(models, paths[name], strict=True))
        found.append(Contestant(name, made, tuple(m.made for m in models)))
    return found


def _hashes(resolved: ResolvedEvaluate, part: Part) -> tuple[str, str]:
    files = {name: [hash_file(p) for p in paths] for name, paths in model_paths(resolved).items()}
    config = resolved.model_dump(mode="json", exclude={"folder"})
    return hash_value([config, files, part]), code_hash(*ROOMS)


def _folder(resolved: ResolvedEvaluate, part: Part, ident: str) -> Path:
    return Path("results") / "energy-evaluate" / f"{resolved.study.study.name}-{part}" / ident


def outline_evaluate(resolved: ResolvedEvaluate, part: Part, out: Path | None = None) -> dict[str, Any]:
    """What a comparison would do, without drawing a day."""
    study = resolved.study.study
    found = contestants(resolved, resolved.study.site)
    return {
        "folder": str(out or _folder(resolved, part, run_id(*_hashes(resolved, part)))),
        "days": study.n_test if part == "test" else study.n_validation,
        "part": part,
        "controllers": {c.name: len(c.controllers) for c in found},
        "shifted": list(resolved.shifted),
    }


def evaluate(resolved: ResolvedEvaluate, part: Part = "validation", out: Path | None = None, overwrite: bool = False,
             progress: Progress = lambda _done, _total: None, jobs: int = 1) -> EnergyResult:  # fmt: skip
    """Compare the controllers on the validation days, or on the locked test days, and write evaluation.json.

    ``jobs`` processes share the slow yardsticks.

    Raises ConfigError or DataError for models that are missing or do not fit, CheckFailedError when the test days are
    not the locked ones.
    """
    hashes = _hashes(resolved, part)
    ident = run_id(*hashes)
    folder = out or _folder(resolved, part, ident)
    if not overwrite and is_same(folder, *hashes):
        return EnergyResult(folder, ident, read_summary(folder, "evaluation.json"), True)
    site = make_site(resolved.study.site)
    days = _days(site, resolved.study.study, part)
    found = contestants(resolved, resolved.study.site)
    worlds = {"as made": (site, days)} | {
        name: (make_site(config), _shifted_days(config, resolved.study.study, part))
        for name, config in resolved.shifted.items()
    }
    total = len(worlds) * sum(len(c.controllers) for c in found)
    summary: dict[str, Any] = {"study": resolved.study.study.name, "part": part, "n_days": days.level.shape[1]}
    with staged(folder, {"config": hashes[0], "code": hashes[1]}, overwrite) as stage:
        done = 0
        results = {}
        for name, (world, world_days) in worlds.items():
            entries = []
            for c in found:
                plays = []
                for controller in c.controllers:
                    plays.append(play_days(controller, world, world_days))
                    done += 1
                    progress(done, total)
                entries.append(Entry(c.name, plays, c.made))
            results[name] = entries
        summary |= _account(resolved, (site, days, found), results)
        wanted = resolved.evaluate.yardsticks
        if wanted is not None:
            starts = [min(e.plays, key=lambda p: float(p.paid.sum())) for e in results["as made"]]
            extent = _extent(wanted, found)
            slow = measure_days(site, days, starts, extent, jobs, progress)
            summary["yardsticks"] = against_yardsticks(results["as made"], slow, resolved.evaluate.n_resamples)
        texts = {"evaluation.json": json_text(summary), "days.csv": _day_table(results["as made"]),
                 "config.resolved.yaml": config_text(resolved)}  # fmt: skip
        write_texts(stage, texts)
        seal(stage, FORMAT, hashes, list(texts))
    return EnergyResult(folder, ident, summary, False)


def _extent(wanted: YardstickConfig, found: list[Contestant]) -> Extent:
    extent = Extent(wanted.n_days, wanted.mpc_days, wanted.nodes)
    look = wanted.lookahead
    if look is None:
        return extent
    schedulers = [c for contestant in found for c in contestant.controllers if isinstance(c, Bids)][: look.n_models]
    search = Search(look.n_futures, look.population, look.iterations, look.sigma, look.n_checked, look.seed)
    return extent._replace(n_ahead=look.n_days, ahead=[Lookahead(s.params, search) for s in schedulers])


def _days(site: Site, study: StudyConfig, part: Part) -> Days:
    return locked_test_days(site, study) if part == "test" else held_out_days(site, study, part)


def _shifted_days(config: SiteConfig, study: StudyConfig, part: Part) -> Days:
    """The same day numbers in another world; the lock covers the study's own days only."""
    return held_out_days(make_site(config), study, part)


def _account(resolved: ResolvedEvaluate, world: tuple[Site, Days, list[Contestant]],
             results: dict[str, list[Entry]]) -> dict[str, Any]:  # fmt: skip
    (site, days, found), n = world, resolved.evaluate.n_resamples
    entries = results["as made"]
    return {
        "baseline": resolved.evaluate.baseline,
        "controllers": [describe_entry(e, n) for e in entries],
        "differences": [
            row
            for name in dict.fromkeys((resolved.evaluate.baseline, *resolved.evaluate.also_against))
            for row in differences(entries, name, n)
        ],
        "stochastic": _stochastic(site, days, found, n),
        "shifted": {
            name: [
                {
                    key: row[key]
                    for key in ("controller", "mean_usd", "split_usd", "shortage_days_frac", "trips_per_day")
                }
                for row in (describe_entry(e, n) for e in world)
            ]
            for name, world in results.items()
            if name != "as made"
        },
        "profiles": {e.name: day_profile(site, e.plays[0]) for e in entries},
    }


def _stochastic(site: Site, days: Days, found: list[Contestant], n_resamples: int) -> dict[str, Any]:
    """Cost of the learnt policies when they act with the noise they learnt with, by method."""
    out = {}
    for c in found:
        noisy = [policy._replace(noise_std=float(made["action_std"]))
                 for policy, made in zip(c.controllers, c.made, strict=False)
                 if isinstance(policy, Refined | Shared) and made.get("action_std")]  # fmt: skip
        if noisy:
            entry = Entry(c.name, [play_days(policy, site, days) for policy in noisy], ())
            row = describe_entry(entry, n_resamples)
            out[c.name] = {"mean_usd": row["mean_usd"], "n_seeds": len(noisy)}
    return out


def _day_table(entries: list[Entry]) -> str:
    """CSV with a row per day: the cost of every controller and seed."""
    columns, rows = ["day"], []
    costs = {e.name: costs_of(e) for e in entries}
    for name, cost in costs.items():
        columns += [f"{name}_{seed}_usd" if len(cost) > 1 else f"{name}_usd" for seed in range(len(cost))]
    for day in range(next(iter(costs.values())).shape[1]):
        rows.append(",".join([str(day), *(f"{c[s, day]:.4f}" for c in costs.values() for s in range(len(c)))]))
    return "\n".join([",".join(columns), *rows]) + "\n"
