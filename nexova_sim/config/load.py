"""YAML to typed configuration: strict reader, ``--set`` overrides, errors that name file, key, value and remedy."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.kinds import FaultCatalogue, KindConfig
from nexova_sim.config.types import FleetConfig, ResolvedFleet

M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without aliases, duplicate keys or deep nesting: none is needed, and each hides a trap."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not allowed", event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.constructor.ConstructorError(None, None, f"nested deeper than {MAX_DEPTH} levels", self.peek_event().start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is not text; put it in quotes", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def parse_yaml(text: str, where: str) -> Any:  # noqa: ANN401
    """Parse one YAML document (no aliases, no duplicate keys, at most 1 MB and 20 levels); ConfigError otherwise."""
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where}: {len(text)} characters; a configuration file may have at most {MAX_BYTES}")
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader made stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from error


def builtin_folder() -> Path:
    """The configuration files that come with the package: in a wheel inside it, in a checkout beside it."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_configs"
    return inside if inside.is_dir() else package.parent / "configs"


def find_config(name: str, base: Path | None = None) -> Path:
    """The file or folder ``name``: as given, beside ``base``, or among the built-in ones (``configs/...``)."""
    given = Path(name)
    places = [given]
    if base is not None:
        places.append(base / given)
    if given.parts[:1] == ("configs",):
        places.append(builtin_folder().joinpath(*given.parts[1:]))
    for place in places:
        if place.exists():
            return place
    folder = places[-1].parent
    names = [p.name for p in folder.glob("*.yaml")] if folder.is_dir() else []
    hint = f"; {suggest(given.name, names)}" if names else ""
    raise ConfigError(f"{name}: no such file (looked in: {', '.join(dict.fromkeys(str(p) for p in places))}){hint}")


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping."""
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder; give a YAML file")
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes; a configuration file may have at most {MAX_BYTES}")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    value = parse_yaml(text, str(path))
    if not isinstance(value, dict):
        kind = "nothing" if value is None else type(value).__name__
        raise ConfigError(f"{path}: the top level must be a mapping (key: value), got {kind}")
    return value


def apply_overrides(raw: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Copy of ``raw`` with every ``key.path=value`` of ``settings`` set; values are YAML, list items are numbered from 0."""
    result = copy.deepcopy(dict(raw))
    for setting in settings:
        path, sign, text = setting.partition("=")
        keys = path.strip().split(".")
        if not sign or not all(keys):
            raise ConfigError(f"--set {setting}: expected key.path=value, e.g. --set days=7 or --set factories.0.machines.pump=5")
        value = parse_yaml(text, f"--set {setting}")
        target: Any = result
        for depth, key in enumerate(keys):
            last = depth == len(keys) - 1
            if isinstance(target, list):
                if not key.isdigit() or int(key) >= len(target):
                    raise ConfigError(f"--set {setting}: {'.'.join(keys[:depth])} is a list of {len(target)}; {key!r} is not one of its numbers (0 to {len(target) - 1})")
                index: Any = int(key)
            elif isinstance(target, dict):
                index = key
                if not last and key not in target:
                    target[key] = {}
            else:
                raise ConfigError(f"--set {setting}: {'.'.join(keys[:depth])} is a value, not a mapping, so it has no key {key!r}")
            if last:
                target[index] = value
            else:
                target = target[index]
    return result


def _allowed_keys(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """Field names of the model that ``location`` (a pydantic error location without its last part) leads to."""
    found: Any = model
    for part in location:
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            return []
        field = found.model_fields.get(part) if isinstance(part, str) else None
        if field is None:
            return []
        found = _inner_model(field.annotation)
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []


def _inner_model(annotation: Any) -> Any:  # noqa: ANN401
    """The model inside an annotation such as ``X | None`` or ``list[X]``, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _inner_model(part)
        if found is not None:
            return found
    return None


def build(model: type[M], raw: Mapping[str, Any], where: str) -> M:
    """Validate ``raw`` as ``model``; ConfigError naming ``where``, the key, the value and what is allowed."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(model, item, where) for item in error.errors()]
        more = f"\n(+{len(lines) - 8} more)" if len(lines) > 8 else ""
        raise ConfigError("\n".join(lines[:8]) + more, problems=lines[:50]) from error
    except RecursionError as error:
        raise ConfigError(f"{where}: nested too deeply") from error


def _explain(model: type[BaseModel], item: Mapping[str, Any], where: str) -> str:
    location = list(item["loc"])
    place = ".".join(str(part) for part in location) or "(top level)"
    if item["type"] == "extra_forbidden":
        parent = ".".join(str(part) for part in location[:-1])
        keys = [part for part in location[:-1] if not isinstance(part, int)]
        hint = suggest(str(location[-1]), _allowed_keys(model, keys))
        return f"{where}: {parent + ': ' if parent else ''}unknown key {str(location[-1])!r}; {hint}"
    if item["type"] == "missing":
        return f"{where}: {place}: required key is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    got = item.get("input")
    shown = "" if isinstance(got, (dict, list)) else f", got {got!r:.80}"
    return f"{where}: {place}: {message}{shown}"


def load(model: type[M], name: str | Path, settings: Sequence[str] = ()) -> M:
    """Read the YAML file ``name``, apply ``--set`` overrides and validate it as ``model``."""
    path = find_config(os.fspath(name))
    return build(model, apply_overrides(read_yaml(path), settings), str(path))


def load_kind(name: str, folder: Path) -> KindConfig:
    """The machine kind ``name`` from ``folder``/name.yaml."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in folder.glob("*.yaml"))
        raise ConfigError(f"unknown machine kind {name!r}: {path} does not exist; {suggest(name, names)}")
    kind = build(KindConfig, read_yaml(path), str(path))
    if kind.kind.lower() != name.lower():
        raise ConfigError(f"{path}: kind is {kind.kind!r}, but the file is named {name!r}; make them equal")
    return kind


def load_faults(name: str, base: Path | None = None) -> FaultCatalogue:
    """The fault catalogue in the file ``name``."""
    path = find_config(name, base)
    return build(FaultCatalogue, read_yaml(path), str(path))


def load_fleet(name: str | Path, settings: Sequence[str] = (), seed: int | None = None) -> ResolvedFleet:
    """A fleet configuration with its kinds, fault catalogue and weather files read in.

    Relative paths inside the file are looked up from the working folder, then beside the file, then among the built-in ones.
    """
    path = find_config(os.fspath(name))
    extra = [f"seed={seed}"] if seed is not None else []
    fleet = build(FleetConfig, apply_overrides(read_yaml(path), [*settings, *extra]), str(path))
    return resolve_fleet(fleet, path.parent, str(path))


def resolve_fleet(fleet: FleetConfig, base: Path | None = None, where: str = "fleet") -> ResolvedFleet:
    """Read what a fleet configuration refers to."""
    folder = find_config(fleet.kind_folder, base)
    wanted = sorted({kind for factory in fleet.factories for kind, count in factory.machines.items() if count})
    kinds = {kind: load_kind(kind, folder) for kind in wanted}
    faults = load_faults(fleet.fault_catalogue, base).faults
    named = [*(fleet.faults.only or []), *(f.fault for f in fleet.faults.scheduled)]
    for fault in named:
        if fault not in faults:
            raise ConfigError(f"{where}: faults: unknown fault {fault!r}; {suggest(fault, faults)}")
    if fleet.faults.only is not None:
        keep = set(fleet.faults.only) | {f.fault for f in fleet.faults.scheduled}
        faults = {name: kind for name, kind in faults.items() if name in keep}
    weather = {
        f.id: read_weather(find_config(f.climate.csv, base)) for f in fleet.factories if f.climate.csv is not None
    }
    return build(ResolvedFleet, {"fleet": fleet, "kinds": kinds, "fault_kinds": faults, "weather": weather}, where)


def read_weather(path: Path) -> list[float]:
    """Hourly ambient temperatures (degC) from a CSV file with a column ``ambient_c``, first row = start of the run."""
    import csv
    import math

    values: list[float] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            for number, row in enumerate(csv.DictReader(handle), start=2):
                text = row.get("ambient_c")
                try:
                    value = float(text) if text else math.nan
                except ValueError:
                    value = math.nan
                if not -60.0 <= value <= 60.0:
                    raise ConfigError(f"{path}:{number}: ambient_c must be a number from -60 to 60 degC, got {text!r}")
                values.append(value)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read as CSV: {error}") from error
    if not values:
        raise ConfigError(f"{path}: no rows; expected a column 'ambient_c' with one value per hour")
    return values
