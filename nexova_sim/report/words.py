"""How the report writes numbers, times and data, and the templates' surroundings."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).resolve().parent
_THIN, _DASH, _MINUS = "\u202f", "\u2013", "\u2212"


def number(value: float | None, digits: int = 0) -> str:
    """A number with ``digits`` decimals and thin spaces between thousands; a dash for what is not known."""
    if value is None or not math.isfinite(value):
        return _DASH
    return f"{value:,.{digits}f}".replace(",", _THIN).replace("-", _MINUS)


def percent(share: float | None, digits: int = 0) -> str:
    """A share 0..1 as percent without the sign; what only rounds to 0 or 100 is said with '<' or '>'."""
    if share is None or not math.isfinite(share):
        return _DASH
    least = 10.0**-digits
    if share > 0.0 and round(share * 100.0, digits) == 0.0:
        return f"<{number(least, digits)}"
    if share < 1.0 and round(share * 100.0, digits) == 100.0:
        return f">{number(100.0 - least, digits)}"
    return number(share * 100.0, digits)


def clock(ms: int | None) -> str:
    """UTC time to the minute, 2026-01-05 06:00."""
    return _DASH if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


def duration(seconds: float) -> str:
    """A duration in its natural unit: 45 s, 5 min, 2.5 h, 9.5 days."""
    for unit, size, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit:
            return f"{_brief(seconds / size)}{_THIN}{unit}"
    return f"{_brief(seconds / 86_400)}{_THIN}days"


def _brief(value: float) -> str:
    """One decimal, or none when it would be a zero."""
    value = round(value, 1)
    return number(value, 0 if value.is_integer() else 1)


def island(value: Any) -> Markup:  # noqa: ANN401
    """JSON for a script element: whatever could end the element or start markup is an escape sequence."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Inside a script element nothing is unescaped, so every sign that means something to HTML must not be there at all.
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def environment() -> Environment:
    """Jinja templates of this room: everything is escaped, an unknown name is an error, the words above are filters."""
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(number=number, percent=percent, clock=clock, duration=duration)
    return made
