"""Which stages can work on a dataset, asked before anything long runs; a stage that cannot is refused or skipped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.config.alert import AlertPolicy
from nexova_sim.config.experiment import ResolvedExperiment
from nexova_sim.config.ingest_stage import IngestPart
from nexova_sim.config.load import find_config
from nexova_sim.config.rul import RulConfig
from nexova_sim.config.track import TrackConfig
from nexova_sim.dataset.read import open_dataset

_MEASURED = ("power_kw", "temperature_c", "vibration_mm_s")
_LEAST_LIVES = 5


class Facts(NamedTuple):
    """What is known of a dataset: where it came from, its channels, kinds of machines; None is not known yet.

    ``most_lives`` is an upper bound: every machine, and one more for every failure or service.
    """

    source: str
    channels: frozenset[str]
    kinds: frozenset[str] | None
    most_lives: int | None


def facts_before(resolved: ResolvedExperiment) -> Facts:
    """Facts before the dataset is made: from the fleet, the mapping file, or the dataset that is given."""
    if resolved.fleet is not None:
        return Facts("simulate", frozenset(_MEASURED), frozenset(resolved.fleet.kinds), None)
    part = resolved.parts.get("ingest")
    if isinstance(part, IngestPart):
        named = [*part.map.machines.values(), part.map.default_machine]
        is_listed = part.map.machine.constant in part.map.machines
        infos = [part.map.machines[str(part.map.machine.constant)]] if is_listed else named
        kinds = frozenset(info.kind or "" for info in infos) if is_listed else None
        return Facts("ingest", frozenset(part.map.channels.given()), kinds, None)
    return facts_of(Path(str(resolved.experiment.dataset)))


def facts_of(folder: Path) -> Facts:
    """Facts of a dataset that is there."""
    dataset = open_dataset(folder)
    machines = dataset.read("machines", columns=["machine_id", "kind"])
    kinds = frozenset(str(kind or "") for kind in machines["kind"].to_pylist())
    events = dataset.read("events", columns=["event"])["event"].to_pylist() if "events" in dataset.tables() else []
    renewals = sum(event != "status" for event in events)
    channels = frozenset((*_MEASURED, *dataset.manifest.extra_channels))
    return Facts(dataset.manifest.source, channels - _empty(folder), kinds, machines.num_rows + renewals)


def _empty(folder: Path) -> frozenset[str]:
    """Channels without any value, as the report of the ingest tells; nothing where there is no such report."""
    try:
        told = json.loads((folder / "ingest.report.json").read_text(encoding="utf-8"))
        return frozenset(name for name, count in told["missing"].items() if count >= told["readings"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return frozenset()


def _unknown_kind(facts: Facts, kind_folder: str) -> str | None:
    folder = find_config(kind_folder)
    known = {path.stem.lower() for path in folder.glob("*.yaml")}
    unknown = sorted(kind for kind in facts.kinds or () if kind.lower() not in known)
    if not unknown:
        return None
    return (
        f"needs machines of a known kind ({', '.join(sorted(known))}), and this dataset has {unknown[0] or 'none'!r}; "
        "name one in the mapping file, or add a file to its kind_folder"
    )


def _no_power(facts: Facts) -> str | None:
    return None if "power_kw" in facts.channels else "needs power_kw, of which this dataset has no reading"


def _alerts(facts: Facts, part: Any) -> str | None:  # noqa: ANN401
    if not isinstance(part, AlertPolicy):
        return None
    wanted = {rule.channel for rule in part.rules}
    if wanted & facts.channels:
        return None
    return f"its rules look at {', '.join(sorted(wanted))}, of which this dataset has no reading"


def _twin(facts: Facts, part: Any) -> str | None:  # noqa: ANN401
    if "vibration_mm_s" not in facts.channels:
        return "needs vibration_mm_s, of which this dataset has no reading"
    return _unknown_kind(facts, part.kind_folder) if isinstance(part, TrackConfig) else None


def _rul(facts: Facts, part: Any) -> str | None:  # noqa: ANN401
    if not isinstance(part, RulConfig) or facts.most_lives is None or facts.most_lives >= _LEAST_LIVES:
        return None
    return (
        f"needs at least {_LEAST_LIVES} lives of machines to learn from, and this dataset has at most "
        f"{facts.most_lives} (one per machine, and one more for each failure or service)"
    )


def _decisions(facts: Facts, _part: Any) -> str | None:  # noqa: ANN401
    if facts.source == "simulate":
        return None
    return "judges decisions on the hidden truth, which only a simulated dataset has"


CHECKS: Mapping[str, Callable[[Facts, Any], str | None]] = MappingProxyType(
    {
        "alerts": _alerts,
        "twin": _twin,
        "rul": _rul,
        "forecast": lambda facts, _part: _no_power(facts),
        "energy": lambda facts, _part: _no_power(facts),
        "decisions": _decisions,
    }
)

# Without one of these an experiment still has something to say; without its dataset or its report it has not.
SKIPPABLE = frozenset({*CHECKS, "anomaly", "approvals"})


def find_unfit(resolved: ResolvedExperiment, facts: Facts, names: tuple[str, ...]) -> dict[str, str]:
    """Stages of ``names`` that cannot work on the dataset, each with its reason; all that needs them too."""
    found: dict[str, str] = {}
    for name in names:
        check = CHECKS.get(name)
        why = check(facts, resolved.parts.get(name)) if check else None
        if why is None and name == "approvals" and "alerts" in found:
            why = "needs alerts, and the stage alerts cannot work either"
        if why is not None:
            found[name] = why
    return found


def check_fit(resolved: ResolvedExperiment, facts: Facts, names: tuple[str, ...]) -> dict[str, str]:
    """As ``find_unfit``; ConfigError that names all of them unless the experiment says ``unfit: skip``."""
    found = find_unfit(resolved, facts, names)
    if found and resolved.experiment.unfit == "refuse":
        told = "; ".join(f"stage {name} {why}" for name, why in found.items())
        raise ConfigError(
            f"{resolved.experiment.name}: {told}. Take the sections out ({', '.join(f'--set {n}=null' for n in found)})"
            ", or say 'unfit: skip'", unfit=found)  # fmt: skip
    return found


def skip_after(resolved: ResolvedExperiment, name: str, names: tuple[str, ...], error: DataError) -> dict[str, str]:
    """What is skipped when stage ``name`` met data it cannot work on (too short, say); raises ``error`` otherwise.

    Only with ``unfit: skip``, only for stages that work on a dataset, and never for what the disk refused.
    """
    if resolved.experiment.unfit != "skip" or name not in SKIPPABLE or isinstance(error.__cause__, OSError):
        raise error
    found = {name: f"could not work on these data: {error}"}
    if name == "alerts" and "approvals" in names:
        found["approvals"] = "needs alerts, and the stage alerts could not work either"
    return found
