"""The strict base of every configuration type: unknown keys refused, values never coerced silently, frozen.

A number is a number: ``"7"`` and ``true`` are not. Only what YAML cannot say is converted: a list where a tuple is
wanted, ISO text where a date or a moment is.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DEVICE = re.compile(r"con|prn|aux|nul|(?:com|lpt)[0-9]", re.IGNORECASE)


class Strict(BaseModel):
    """Base model: no unknown keys, no infinities or NaN unless a field allows them, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True, str_max_length=4096)

    @field_validator("*", mode="before")
    @classmethod
    def _tuple_from_list(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        field = cls.model_fields.get(info.field_name or "")
        if isinstance(value, list) and field is not None and _is_tuple(field.annotation):
            return tuple(value)
        return value


def _is_tuple(annotation: Any) -> bool:  # noqa: ANN401
    return get_origin(annotation) is tuple or any(get_origin(part) is tuple for part in get_args(annotation))


def check_identifier(name: str) -> str:
    """``name`` when it can stand in a file name on any system; ValueError otherwise."""
    if not ID_PATTERN.fullmatch(name):
        raise ValueError("must be 1 to 64 letters, digits, '-' or '_' and begin with a letter or digit")
    if _DEVICE.fullmatch(name):
        raise ValueError("is the name of a device on some systems; choose another name")
    return name


def _read_day(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        return date.fromisoformat(value)
    return value


def _read_moment(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and (not isinstance(value, datetime) or value.tzinfo is None):
        raise ValueError("needs a time of day and a time zone, e.g. 2026-01-05T00:00:00Z")
    return value


Frac = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Identifier = Annotated[str, AfterValidator(check_identifier)]
Day = Annotated[date, BeforeValidator(_read_day)]
Moment = Annotated[datetime, BeforeValidator(_read_moment)]
