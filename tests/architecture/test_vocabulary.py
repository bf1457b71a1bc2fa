"""Every number of a table or a configuration says its unit in its name, from one vocabulary."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel

from nexova_sim.base.units import SUFFIXES, UNITS, suffix_of
from nexova_sim.config import kinds, types
from nexova_sim.schema.channels import TABLES

# Pure numbers, numbers in the unit of the key above them, and tables by factory.
PURE = {"severity", "weibull_shape", "bearing_exponent", "rate_factor", "peak_factor", "off_peak_factor", "noise",
        "resolution", "weather"}  # fmt: skip


def unit_of(name: str) -> str | None:
    """Unit a name states by its suffix."""
    suffix = suffix_of(name)
    return SUFFIXES[suffix] if suffix else None


@pytest.mark.parametrize("table", sorted(TABLES))
def test_columns_state_their_unit(table):
    wrong = []
    for row in TABLES[table]:
        if (
            row.dtype in {"float32", "float64"}
            and row.unit != "1"
            and "/(" not in row.unit
            and unit_of(row.name) != row.unit
        ):
            wrong.append(f"{table}.{row.name}: unit {row.unit}, name says {unit_of(row.name)}")
    assert not wrong


def models():
    seen = {}
    for module in (kinds, types):
        for value in vars(module).values():
            if (
                isinstance(value, type)
                and issubclass(value, BaseModel)
                and value.__module__.startswith("nexova_sim.config")
            ):
                seen[value.__name__] = value
    return sorted(seen.values(), key=lambda m: m.__name__)


def is_float(annotation: object) -> bool:
    return annotation is float or any(is_float(a) for a in get_args(annotation))


def test_float_keys_state_their_unit():
    wrong = []
    for model in models():
        for name, field in model.model_fields.items():
            holds_models = any(
                isinstance(a, type) and issubclass(a, BaseModel)
                for a in (field.annotation, *get_args(field.annotation))
            )
            if is_float(field.annotation) and not holds_models and suffix_of(name) is None and name not in PURE:
                wrong.append(f"{model.__name__}.{name}")
    assert not wrong, f"no unit suffix of base.units.SUFFIXES: {', '.join(wrong)}"


def test_units_of_exports_are_house_units():
    assert set(UNITS) <= set(SUFFIXES.values())


@pytest.mark.parametrize(("name", "suffix"), [
    ("power_kw", "kw"), ("energy_kwh", "kwh"), ("price_usd_per_kwh", "usd_per_kwh"), ("vibration_mm_s", "mm_s"),
    ("temp_c", "c"), ("load_frac", "frac"), ("rul_h", "h"), ("temperature", None), ("kw", "kw"), ("brick", None),
])  # fmt: skip
def test_suffix_of(name, suffix):
    assert suffix_of(name) == suffix
