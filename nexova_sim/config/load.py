"""YAML to typed configuration: strict reader, ``--set`` overrides, errors that name file, key, value and remedy."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.config.kinds import FaultCatalogue, KindConfig
from nexova_sim.config.types import FleetConfig, ResolvedFleet

M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
_MOST_KEPT = 100_000  # characters of a text whose parsed form is kept
MAX_NODES = 100_000  # keys and values
MAX_WEATHER_BYTES = 50_000_000  # hourly values of the longest run, a century, and room for other columns


# What plain text means: the core schema of YAML 1.2, plus dates. YAML 1.1 reads 14:00 as 840, 010 as 8, no as false.
_PLAIN = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+.0123456789"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    (
        "timestamp",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[-+][0-9]{2}:[0-9]{2})?)?",
        "0123456789",
    ),
)


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without aliases, tags, duplicate keys or deep nesting: none is needed, and each hides a trap."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}  # type: ignore[misc]
    depth = 0
    n_nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refuse("aliases (*name) are not allowed", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _refuse("tags (!name) are not allowed", event.start_mark)
        self.depth += 1
        self.n_nodes += 1
        if self.n_nodes > MAX_NODES:
            raise _refuse(f"more than {MAX_NODES} keys and values", event.start_mark)
        if self.depth > MAX_DEPTH:
            raise _refuse(f"nested deeper than {MAX_DEPTH} levels", event.start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _refuse(f"key {shown(key)} is not text; put it in quotes", key_node.start_mark)
            if key in seen:
                raise _refuse(f"key {shown(key)} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


for _tag, _pattern, _first in _PLAIN:
    _StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])


def _refuse(problem: str, mark: Any) -> yaml.MarkedYAMLError:  # noqa: ANN401
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def shown(value: object) -> str:
    """At most 80 characters of ``repr(value)``; numbers too long to print are described."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


@lru_cache(maxsize=512)
def _parsed(text: str) -> Any:  # noqa: ANN401
    """A document, parsed once: the trials of a sweep read the same texts again. Readers get copies of it."""
    return yaml.load(text, Loader=_StrictLoader)


def parse_yaml(text: str, where: str) -> Any:  # noqa: ANN401
    """Parse one YAML document (no aliases, tags, duplicate keys; at most 1 MB, 20 levels); ConfigError otherwise."""
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{where}: {len(text)} characters; a configuration file may have at most {MAX_BYTES}")
    try:
        return copy.deepcopy(_parsed(text)) if len(text) <= _MOST_KEPT else yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{where}{place}: not valid YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}: not valid YAML: {reason}") from error


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
        try:
            if place.exists():
                return place
        except OSError as error:
            raise ConfigError(f"{shown(name)}: cannot be looked up: {error.strerror}") from error
    folder = places[-1].parent
    names = [p.name for p in folder.glob("*.yaml")] if folder.is_dir() else []
    hint = f"; {suggest(given.name, names)}" if names else ""
    raise ConfigError(f"{name}: no such file (looked in: {', '.join(dict.fromkeys(str(p) for p in places))}){hint}")


def _read_text(path: Path, most_bytes: int) -> str:
    """The UTF-8 text of a file (or pipe) of at most ``most_bytes``; ConfigError otherwise."""
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder; give a file")
        with path.open("rb") as handle:
            data = handle.read(most_bytes + 1)
        if len(data) > most_bytes:
            raise ConfigError(f"{path}: more than {most_bytes} bytes; a file of this kind may have no more")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping."""
    value = parse_yaml(_read_text(path, MAX_BYTES), str(path))
    if not isinstance(value, dict):
        kind = "nothing" if value is None else type(value).__name__
        raise ConfigError(f"{path}: the top level must be a mapping (key: value), got {kind}")
    return value


def apply_overrides(raw: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """Copy of ``raw`` with every ``key.path=value`` of ``settings`` set; values are YAML, list items count from 0."""
    result = copy.deepcopy(dict(raw))
    for setting in settings:
        path, sign, text = setting.partition("=")
        keys = path.strip().split(".")
        where = f"--set {shown(setting)[1:-1]}"
        if not sign or not all(keys) or len(keys) > MAX_DEPTH:
            raise ConfigError(
                f"{where}: expected key.path=value, e.g. --set days=7 or --set factories.0.machines.pump=5"
            )
        value = parse_yaml(text, where)
        target: Any = result
        for depth, key in enumerate(keys[:-1]):
            index = _index(target, key, keys[:depth], where)
            if isinstance(target, dict) and target.get(key) is None:
                target[key] = {}
            target = target[index]
        target[_index(target, keys[-1], keys[:-1], where)] = value
    return result


def _index(target: Any, key: str, above: Sequence[str], where: str) -> str | int:  # noqa: ANN401
    """``key`` as an index of ``target``: a name in a mapping, a number in a list; ConfigError for anything else."""
    if isinstance(target, dict):
        return key
    parent = ".".join(above)
    if not isinstance(target, list):
        raise ConfigError(f"{where}: {parent} is a value, not a mapping, so it has no key {shown(key)}")
    if re.fullmatch(r"[0-9]{1,9}", key) and int(key) < len(target):
        return int(key)
    numbers = f"its numbers are 0 to {len(target) - 1}" if target else "it is empty"
    raise ConfigError(f"{where}: {parent} is a list, {shown(key)} is not a number of it; {numbers}")


def _allowed_keys(model: type[BaseModel], location: Sequence[Any]) -> list[str]:
    """Field names of the model that ``location`` (a pydantic error location without its last part) leads to."""
    found: list[Any] = [model]
    for part in location:
        found = [inner for annotation in found for inner in _step(annotation, part)]
    return [name for annotation in found for kind in _models(annotation) for name in kind.model_fields]


def _step(annotation: Any, part: str | int) -> list[Any]:  # noqa: ANN401
    """Annotations of what stands at ``part`` (a field, a key, a number) of a value of the type ``annotation``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return [field.annotation] if field else []
    inner = get_args(annotation)
    if get_origin(annotation) is dict:
        return [inner[1]]
    if get_origin(annotation) in {list, tuple}:
        return list(inner[:1])
    return [found for option in inner for found in _step(option, part)]


def _models(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401
    """The models among the alternatives of an annotation."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return (
        [] if get_origin(annotation) in {dict, list, tuple} else [m for a in get_args(annotation) for m in _models(a)]
    )


def build(model: type[M], raw: Mapping[str, Any], where: str) -> M:
    """Validate ``raw`` as ``model``; ConfigError naming ``where``, the key, the value and what is allowed."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(model, item, where) for item in error.errors()]
        more = f"\n(+{len(lines) - 8} more)" if len(lines) > 8 else ""
        raise ConfigError("\n".join(lines[:8]) + more, problems=lines[:50]) from error
    except (RecursionError, OverflowError) as error:
        raise ConfigError(f"{where}: nested too deeply or a number too large ({error})") from error


def _explain(model: type[BaseModel], item: Mapping[str, Any], where: str) -> str:
    location = [part for part in item["loc"] if part != "[key]"]
    place = ".".join(str(part) for part in location) or "(top level)"
    place = place if len(place) <= 200 else place[:197] + "..."
    if item["type"] == "extra_forbidden":
        parent = ".".join(str(part) for part in location[:-1])[:200]
        hint = suggest(str(location[-1]), _allowed_keys(model, location[:-1]))
        return f"{where}: {parent + ': ' if parent else ''}unknown key {shown(location[-1])}; {hint}"
    if item["type"] == "missing":
        return f"{where}: {place}: required key is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    got = item.get("input")
    if item["type"] == "model_type":
        return f"{where}: {place}: must be a section (key: value), got {shown(got) if got is not None else 'nothing'}"
    return f"{where}: {place}: {message}" + ("" if isinstance(got, (dict, list)) else f", got {shown(got)}")


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

    Relative paths inside the file are looked up from the working folder, beside the file, and among the built-in ones.
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
    import io
    import math

    values: list[float] = []
    rows = csv.DictReader(io.StringIO(_read_text(path, MAX_WEATHER_BYTES), newline=""))
    try:
        if "ambient_c" not in (rows.fieldnames or ()):
            raise ConfigError(f"{path}: no column 'ambient_c'; found: {shown(rows.fieldnames)}")
        for number, row in enumerate(rows, start=2):
            text = row["ambient_c"]
            try:
                value = float(text) if text else math.nan
            except ValueError:
                value = math.nan
            if not -60.0 <= value <= 60.0:
                raise ConfigError(f"{path}:{number}: ambient_c must be a number from -60 to 60 degC, got {shown(text)}")
            values.append(value)
    except csv.Error as error:
        raise ConfigError(f"{path}: cannot be read as CSV: {error}") from error
    if not values:
        raise ConfigError(f"{path}: no rows; expected a column 'ambient_c' with one value per hour")
    return values
