"""Unit suffixes of the house and conversions from the units found in plant exports.

Every quantity has one unit inside the house, named by its suffix (``power_kw``). ``to_house`` converts foreign values.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

from nexova_sim.base.errors import ConfigError, suggest

T = TypeVar("T")

# unit -> (factor, offset): house value = factor * (value + offset). Exact definitions (NIST SP 811, B.8):
# 1 in = 25.4 mm, 1 hp(I) = 745.69987158227022 W, 0 degC = 273.15 K = 32 degF.
_TEMPERATURE = {"degC": (1.0, 0.0), "degF": (5.0 / 9.0, -32.0), "K": (1.0, -273.15), "degR": (5.0 / 9.0, -491.67)}
_POWER = {"kW": (1.0, 0.0), "W": (1e-3, 0.0), "MW": (1e3, 0.0), "hp": (0.74569987158227022, 0.0)}
_VIBRATION = {"mm/s": (1.0, 0.0), "cm/s": (10.0, 0.0), "m/s": (1e3, 0.0), "in/s": (25.4, 0.0)}
_TIME = {"h": (1.0, 0.0), "min": (1.0 / 60.0, 0.0), "s": (1.0 / 3600.0, 0.0), "d": (24.0, 0.0)}

UNITS: Mapping[str, Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"degC": _TEMPERATURE, "kW": _POWER, "mm/s": _VIBRATION, "h": _TIME}
)

# The unit suffixes a name may end in, and the unit each one means.
SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        "kw": "kW",
        "kwh": "kWh",
        "c": "degC",
        "k": "K",
        "mm_s": "mm/s",
        "h": "h",
        "hours": "h",  # a duration in a configuration file: a word reads better there
        "days": "d",
        "min": "min",
        "s": "s",
        "per_year": "1/year",
        "usd": "USD",
        "usd_per_kwh": "USD/kWh",
        "usd_per_h": "USD/h",
        "frac": "1",
        "percent": "%",
        "deg": "deg",
    }
)


def suffix_of(name: str) -> str | None:
    """The longest unit suffix that ``name`` ends in ("price_usd_per_kwh" -> "usd_per_kwh"); None when it has none."""
    found = [suffix for suffix in SUFFIXES if name == suffix or name.endswith(f"_{suffix}")]
    return max(found, key=len, default=None)


def to_house(values: T, unit: str, house_unit: str, where: str) -> T:
    """Convert ``values`` (a float or an array, any shape) from ``unit`` into ``house_unit``.

    Raises ConfigError when the unit is not known for that quantity; ``where`` says which key asked for it.
    """
    if unit == house_unit:
        return values
    table = UNITS.get(house_unit, {})
    if unit not in table:
        raise ConfigError(
            f"{where}: unknown unit {unit!r} for a quantity stored in {house_unit}; "
            f"{suggest(unit, {*table, house_unit})}",
            got=unit,
        )
    factor, offset = table[unit]
    number: Any = values  # a float or an array: both know + and *
    return cast("T", (number + offset) * factor)
