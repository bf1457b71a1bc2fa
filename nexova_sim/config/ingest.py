"""The mapping file of ``nexova ingest``: how the columns of a plant's export become the channels of the house."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator, model_validator

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.base.units import to_house
from nexova_sim.config.load import load
from nexova_sim.config.strict import Identifier, NonNegative, Positive, Strict

# unit -> kWh; 1 MJ = 1/3.6 kWh exactly
ENERGY_KWH = {"Wh": 1e-3, "kWh": 1.0, "MWh": 1e3, "kJ": 1.0 / 3600.0, "MJ": 1.0 / 3.6, "GJ": 1000.0 / 3.6}
HOUSE_UNITS = {"power_kw": "kW", "temperature_c": "degC", "vibration_mm_s": "mm/s", "runtime_h": "h"}
MISSING_TEXTS = ("", "NaN", "nan", "NAN", "NA", "N/A", "n/a", "null", "NULL", "None", "-")

Column = Annotated[str, Field(min_length=1, max_length=500)]
Status = Literal["ONLINE", "OFFLINE", "MAINTENANCE"]
ExtraName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone; {suggest(name, available_timezones())}") from error
    return name


def _check_unit(unit: str, house_unit: str) -> None:
    try:
        to_house(0.0, unit, house_unit, "unit")
    except ConfigError as error:
        raise ValueError(error.message) from error


class TimestampMap(Strict):
    """Where the time stands: one column, or several that are joined by a space (a date and a time).

    ``format``: ``iso``, ``unix_s``, ``unix_ms`` or a strptime format. Times without offset are local in ``timezone``.
    ``midnight: end`` reads 00:00 as the end of the written day (24:00). ``shift_s`` is added last, e.g. -900 when the
    stamp closes a quarter of an hour: the house stamps the start of an interval.
    """

    column: Column | Annotated[list[Column], Field(min_length=1, max_length=4)]
    format: Annotated[str, Field(min_length=1, max_length=100)] = "iso"
    timezone: str = "UTC"
    midnight: Literal["start", "end"] = "start"
    shift_s: Annotated[float, Field(ge=-366 * 86_400, le=366 * 86_400)] = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the time is read from."""
        return (self.column,) if isinstance(self.column, str) else tuple(self.column)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return _check_zone(value)

    @field_validator("format")
    @classmethod
    def _format(cls, value: str) -> str:
        if value in ("iso", "unix_s", "unix_ms"):
            return value
        given = set(re.findall(r"%-?([A-Za-z%])", value))
        if not given:
            raise ValueError("is neither iso, unix_s, unix_ms nor a strptime format such as '%d/%m/%Y %H:%M'")
        has_day = ("j" in given or ("d" in given and given & set("mbB"))) and given & set("yY")
        if not has_day or "Z" in given:
            raise ValueError(
                "a strptime format needs year, month and day, e.g. '%d/%m/%Y %H:%M', and no '%Z' (use timezone)"
            )
        try:
            datetime.strptime(datetime(2001, 2, 3, 4, 5, 6).strftime(value), value.replace("%z", ""))
        except ValueError as error:
            raise ValueError(f"is not a strptime format: {error}") from error
        return value

    @model_validator(mode="after")
    def _consistent(self) -> TimestampMap:
        if self.format.startswith("unix_") and (self.midnight == "end" or len(self.columns) > 1):
            raise ValueError("unix times stand in one column and know no 'midnight: end'")
        return self


class MachineSource(Strict):
    """Which machine a row belongs to: a constant, a column, or a group of a regular expression over the file's name.

    ``rename`` gives raw names that are no valid ids (letters, digits, '_' and '-') one that is.
    """

    constant: Identifier | None = None
    column: Column | None = None
    file_name: Annotated[str, Field(max_length=500)] | None = None
    rename: dict[str, Identifier] = {}

    @field_validator("file_name")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            pattern = re.compile(value)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from error
        if pattern.groups != 1:
            raise ValueError(
                f"needs exactly one group, which is the machine, e.g. '^(.+)\\.csv$'; it has {pattern.groups}"
            )
        return value

    @model_validator(mode="after")
    def _one(self) -> MachineSource:
        if sum(v is not None for v in (self.constant, self.column, self.file_name)) != 1:
            raise ValueError("give exactly one of 'constant', 'column', 'file_name'")
        return self


class MachineInfo(Strict):
    """Name-plate data; what is left out stays unknown (null) in the machines table."""

    name: Annotated[str, Field(max_length=200)] | None = None
    kind: Identifier | None = None
    factory: Identifier | None = None
    rated_kw: Positive | None = None
    nominal_load_frac: Annotated[float, Field(gt=0.0, le=2.0)] | None = None
    baseline_kw: Positive | None = None
    rated_life_h: Positive | None = None
    lost_production_usd_per_h: NonNegative | None = None
    planned_service_usd: NonNegative | None = None
    planned_service_h: NonNegative | None = None
    failure_usd: NonNegative | None = None
    failure_h: NonNegative | None = None


class FactoryInfo(Strict):
    """A site; an unknown position stays null."""

    id: Identifier
    name: Annotated[str, Field(max_length=200)] = ""
    latitude_deg: Annotated[float, Field(ge=-90.0, le=90.0)] | None = None
    longitude_deg: Annotated[float, Field(ge=-180.0, le=180.0)] | None = None
    timezone: str | None = None

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return value if value is None else _check_zone(value)


class ChannelMap(Strict):
    """A channel from one ``column``, or from the product ``multiply`` of two; times ``factor``, given in ``unit``.

    An energy unit (Wh, kWh, MWh, kJ, MJ, GJ) with ``interval_s`` is the energy used in that interval: it becomes power.
    """

    column: Column | None = None
    multiply: tuple[Column, Column] | None = None
    factor: float = 1.0
    unit: Annotated[str, Field(max_length=20)]
    interval_s: Positive | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the channel is made of."""
        return self.multiply or (str(self.column),)

    @model_validator(mode="after")
    def _one(self) -> ChannelMap:
        if (self.column is None) == (self.multiply is None):
            raise ValueError("give exactly one of 'column', 'multiply'")
        if self.factor == 0.0:
            raise ValueError("factor must not be 0")
        if (self.unit in ENERGY_KWH) != (self.interval_s is not None):
            raise ValueError("an energy unit (Wh, kWh, MWh, kJ, MJ, GJ) and 'interval_s' go together")
        return self


class Channels(Strict):
    """The four channels of the house; one left out is stored as missing (NaN), runtime_h is counted from time."""

    power_kw: ChannelMap | None = None
    temperature_c: ChannelMap | None = None
    vibration_mm_s: ChannelMap | None = None
    runtime_h: ChannelMap | None = None

    def given(self) -> dict[str, ChannelMap]:
        """The channels that are mapped, by name."""
        return {name: value for name in HOUSE_UNITS if (value := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _units(self) -> Channels:
        for name, value in self.given().items():
            if value.interval_s is not None:
                if name != "power_kw":
                    raise ValueError(f"{name}: an energy per interval can only become power_kw")
                continue
            _check_unit(value.unit, HOUSE_UNITS[name])
        return self


class StatusMap(Strict):
    """Status of a row: from texts in ``column``, or OFFLINE while power is under ``offline_below_kw``; else ONLINE.

    ``other`` is the status of texts not listed in ``values``; without it such rows are rejected. A row whose power is
    missing counts as ONLINE under the power rule.
    """

    column: Column | None = None
    values: dict[str, Status] = {}
    other: Status | None = None
    offline_below_kw: Positive | None = None

    @model_validator(mode="after")
    def _one(self) -> StatusMap:
        if self.column is not None and self.offline_below_kw is not None:
            raise ValueError("give 'column' or 'offline_below_kw', not both")
        if (self.column is None) != (not self.values):
            raise ValueError("'column' and 'values' go together")
        return self


class RuntimeCount(Strict):
    """Hour meter counted from time when no column holds it: it runs from a row that is ONLINE to the next row.

    ``start_h`` is its reading at the first row; a gap longer than ``max_gap_s`` counts as not running.
    """

    start_h: NonNegative = 0.0
    max_gap_s: Positive = 3600.0


class LabelMap(Strict):
    """A column that marks faults (not 0, or one of ``active``); it goes to the labels table, never into readings."""

    column: Column
    fault: Identifier
    active: list[str] | None = None
    optional: bool = False


class ExtraColumn(Strict):
    """Another channel worth keeping: its ``name`` (default: the column's, made safe) and ``unit`` in the dataset."""

    column: Column
    name: ExtraName | None = None
    unit: Annotated[str, Field(min_length=1, max_length=20)] = "1"


class IngestMap(Strict):
    """How to read the files of a plant (CSV or Parquet) into a dataset. One line of a CSV file is one row."""

    name: Identifier
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    encoding: Literal["utf-8", "utf-8-sig", "latin-1", "cp1252"] = "utf-8"
    skip_lines: Annotated[int, Field(ge=0, le=10_000)] = 0
    columns: Annotated[list[Column], Field(min_length=1, max_length=4096)] | None = None
    missing: list[str] = list(MISSING_TEXTS)
    timestamp: TimestampMap
    machine: MachineSource
    machines: dict[Identifier, MachineInfo] = {}
    default_machine: MachineInfo = MachineInfo()
    factories: Annotated[list[FactoryInfo], Field(min_length=1)] = [FactoryInfo(id="site")]
    channels: Channels
    status: StatusMap = StatusMap()
    runtime: RuntimeCount | None = None
    extra: list[Column | ExtraColumn] = ["*"]
    labels: Annotated[list[LabelMap], Field(max_length=100)] = []
    drop: list[Column] = []
    partition: Literal["auto", "day", "month"] = "auto"

    @field_validator("extra", mode="before")
    @classmethod
    def _star(cls, value: Any) -> Any:  # noqa: ANN401
        return [value] if value == "*" else value

    @model_validator(mode="after")
    def _consistent(self) -> IngestMap:
        if self.delimiter in ('"', "\r", "\n", "\0", self.decimal):
            raise ValueError(
                f"delimiter {self.delimiter!r} cannot separate columns whose decimal mark is {self.decimal!r}"
            )
        sites = [f.id for f in self.factories]
        if len(set(sites)) < len(sites):
            raise ValueError("factories: ids must be unique")
        for name, info in [*self.machines.items(), ("default_machine", self.default_machine)]:
            if info.factory is not None and info.factory not in sites:
                raise ValueError(f"{name}: unknown factory {info.factory!r}; {suggest(info.factory, sites)}")
        if self.channels.runtime_h is not None and self.runtime is not None:
            raise ValueError("give channels.runtime_h (a column) or runtime (counted from time), not both")
        if self.status.offline_below_kw is not None and self.channels.power_kw is None:
            raise ValueError("status.offline_below_kw needs channels.power_kw")
        names = [e.name for e in self.extra if isinstance(e, ExtraColumn) and e.name]
        if len(set(names)) < len(names):
            raise ValueError("extra: names must be unique")
        return self


def load_map(name: str | Path, settings: Sequence[str] = ()) -> IngestMap:
    """The mapping file ``name`` with ``--set`` overrides; ConfigError naming file, key and what is allowed."""
    return load(IngestMap, name, settings)
