"""Scripts of an approvals replay: YAML or CSV written by hand, or requests made from the alerts of an alert run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import AfterValidator, Field

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.config.approval import FromAlerts, Row
from nexova_sim.config.load import MAX_BYTES, build, parse_yaml
from nexova_sim.config.roles import Role
from nexova_sim.config.strict import Moment, Strict
from nexova_sim.dataset.read import open_dataset

MOST_ROWS = 1_000_000
NO_FACTORY = "plant"
_NOWHERE: Mapping[str, str] = MappingProxyType({})
_MOST_BYTES = 200_000_000
_COLUMNS = ("at", "machine_id", "factory_id", "action", "by", "role", "is_agent", "subject", "comment")
_NEEDED = ("at", "machine_id", "action", "by")
_SEVERITIES = ("INFO", "WARNING", "CRITICAL")
_ALERT_COLUMNS = ("machine_id", "rule", "severity", "severity_max", "announced", "reannounced", "resolved")
Action = Literal["submit", "approve", "reject", "withdraw", "set_online", "set_offline", "set_maintenance"]
MOST_DAYS = 3_700  # every reviewer's shifts are laid out day by day


def _is_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds characters that are no text")
    return text


def _near(moment: datetime) -> datetime:
    if not 1970 < moment.year < 2200:
        raise ValueError("must lie between 1971 and 2199")
    return moment


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_text)]
NearMoment = Annotated[Moment, AfterValidator(_near)]


class ScriptLine(Strict):
    """One attempt: ``at`` a moment with time zone, ``by`` whoever tries it."""

    at: NearMoment
    machine_id: Text
    action: Action
    by: Text
    factory_id: Text = NO_FACTORY
    role: Role = "OPERATOR"
    is_agent: bool = False
    subject: Annotated[str, Field(max_length=64)] | None = None
    comment: Annotated[str, Field(max_length=2000)] = ""


class Script(Strict):
    """A script: ``registered`` machines begin ONLINE with an approved registration instead of as new ones."""

    attempts: Annotated[list[ScriptLine], Field(min_length=1, max_length=MOST_ROWS)]
    registered: bool = False
    until: NearMoment | None = None


class Read(NamedTuple):
    """A script read in: rows in order of time, the end of the replay (ms) or None for the last row and what follows."""

    rows: list[Row]
    is_registered: bool
    end_ms: int | None


def read_script(path: Path, alerts: FromAlerts, factories: Mapping[str, str] = _NOWHERE) -> Read:
    """The script at ``path``: .yaml, .csv, or a folder that ``nexova alerts run`` wrote.

    Raises ConfigError naming file, line and key, DataError when a folder holds no alerts.
    """
    if path.is_dir():
        return from_alerts(path, alerts, factories)
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8-sig") if size <= _MOST_BYTES else ""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; give a .yaml or .csv script, or the folder of an "
                          "alert run") from error  # fmt: skip
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from error
    if size > _MOST_BYTES:
        raise ConfigError(f"{path}: {size} bytes; a script may have at most {_MOST_BYTES}")
    if path.suffix.lower() == ".csv":
        lines = _from_csv(text, str(path))
        return Read(rows=_sorted(lines, str(path)), is_registered=False, end_ms=None)
    if path.suffix.lower() not in {".yaml", ".yml"}:
        raise ConfigError(f"{path}: a script is a .yaml or .csv file, or the folder of an alert run")
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{path}: {len(text)} characters of YAML; long scripts are read from .csv")
    raw = parse_yaml(text, str(path))
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{path}: the top level must be a mapping with the key 'attempts'")
    script = build(Script, raw, str(path))
    end_ms = None if script.until is None else _ms(script.until)
    return Read(rows=_sorted(script.attempts, str(path)), is_registered=script.registered, end_ms=end_ms)


def _ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1000)


def _sorted(lines: Iterable[ScriptLine], where: str) -> list[Row]:
    rows = [
        Row(_ms(x.at), x.machine_id, x.factory_id, x.action, x.by, x.role, x.is_agent, x.subject, x.comment)
        for x in lines
    ]
    rows.sort(key=lambda row: row.time_ms)
    if rows[-1].time_ms - rows[0].time_ms > MOST_DAYS * 86_400_000:
        raise ConfigError(f"{where}: from first to last attempt are more than {MOST_DAYS} days; split the script")
    return rows


def _from_csv(text: str, where: str) -> list[ScriptLine]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    lines: list[ScriptLine] = []
    try:
        heads = [str(h).strip() for h in reader.fieldnames or ()]
        _check_heads(heads, where)
        for row in reader:
            if len(lines) == MOST_ROWS:
                raise ConfigError(f"{where}: more than {MOST_ROWS} rows; split the script")
            lines.append(build(ScriptLine, _cells(row, f"{where}:{reader.line_num}"), f"{where}:{reader.line_num}"))
    except csv.Error as error:
        raise ConfigError(f"{where}:{reader.line_num}: not valid CSV: {error}") from error
    if not lines:
        raise ConfigError(f"{where}: no rows; needed columns: {', '.join(_NEEDED)}")
    return lines


def _check_heads(heads: list[str], where: str) -> None:
    for head in heads:
        if head not in _COLUMNS:
            raise ConfigError(f"{where}: unknown column {head!r}; {suggest(head, _COLUMNS)}")
    missing = [name for name in _NEEDED if name not in heads]
    if missing or len(set(heads)) < len(heads):
        raise ConfigError(f"{where}: columns are {', '.join(heads) or 'none'}; each once, needed: {', '.join(_NEEDED)}")


def _cells(row: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """The filled cells of a row; empty ones take the default."""
    if None in row or None in row.values():
        raise ConfigError(f"{where}: a row with another number of cells than the heading")
    cells: dict[str, Any] = {str(k).strip(): v.strip() for k, v in row.items() if v.strip()}
    if "is_agent" in cells:
        word = cells["is_agent"].lower()
        if word not in {"true", "false", "1", "0", "yes", "no"}:
            raise ConfigError(f"{where}: is_agent: expected true or false, got {cells['is_agent']!r}")
        cells["is_agent"] = word in {"true", "1", "yes"}
    return cells


def from_alerts(folder: Path, alerts: FromAlerts, factories: Mapping[str, str] = _NOWHERE) -> Read:
    """Requests for MAINTENANCE by an agent, one for every alert announced as at least ``alerts.severity``.

    ``factories`` by machine; a machine that is not in it belongs to the factory "plant".
    """
    path = folder / "alerts.parquet"
    if not path.is_file():
        raise DataError(f"{folder}: no alerts.parquet; give a folder that 'nexova alerts run' wrote")
    try:
        table = pq.read_table(path, columns=list(_ALERT_COLUMNS))
        end_ms = _end_of(folder)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is damaged ({error}); run 'nexova alerts run' again") from error
    graver = pa.array(_SEVERITIES[_SEVERITIES.index(alerts.severity) :])
    at_once = pc.is_in(table["severity"].cast(pa.string()), value_set=graver)
    in_the_end = pc.is_in(table["severity_max"].cast(pa.string()), value_set=graver)
    # One that grew so grave only later is a request from when the operator was told so.
    told = pc.if_else(at_once, table["announced"], pc.if_else(in_the_end, table["reannounced"], None))
    # Dictionaries cannot be sorted.
    plain = pa.table({"told": told, "machine_id": table["machine_id"].cast(pa.string()), "rule": table["rule"],
                      "resolved": table["resolved"]})  # fmt: skip
    kept = plain.filter(pc.is_valid(told)).sort_by([("told", "ascending"), ("machine_id", "ascending")])
    if kept.num_rows > MOST_ROWS:
        raise DataError(f"{path}: {kept.num_rows} alerts of severity {alerts.severity}; a replay takes {MOST_ROWS}")
    ends = _whole_ms(kept["resolved"]) if alerts.withdraw else [None] * kept.num_rows
    columns = (_whole_ms(kept["told"]), kept["machine_id"].to_pylist(), kept["rule"].to_pylist(), ends)
    rows = [
        Row(t, m, factories.get(m, NO_FACTORY), "submit", alerts.submitter, "OPERATOR", True, "MAINTENANCE",
            f"alert {rule}", end)
        for t, m, rule, end in zip(*columns, strict=True)
    ]  # fmt: skip
    return Read(rows=rows, is_registered=True, end_ms=end_ms)


def factories_of(dataset: Path) -> dict[str, str]:
    """The factory of every machine of a dataset."""
    table = open_dataset(dataset).read("machines", columns=["machine_id", "factory_id"])
    return dict(zip(table["machine_id"].to_pylist(), table["factory_id"].to_pylist(), strict=True))


def _whole_ms(times: pa.ChunkedArray) -> list[Any]:
    found: list[Any] = times.cast(pa.timestamp("ms")).cast(pa.int64()).to_pylist()
    return found


def _end_of(folder: Path) -> int | None:
    """The end of the data the alerts come from, as the KPIs say it."""
    try:
        kpi = json.loads((folder / "kpi.json").read_text(encoding="utf-8"))
        return int(kpi["timeline"]["end_ms"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
