"""Ground floor: errors and their exit codes, fingerprints, the crash log, units."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexova_sim.base import errors
from nexova_sim.base.errors import ConfigError, DataError, LockedError, NexovaError, need_extra, suggest
from nexova_sim.base.hashing import canonical_json, code_hash, hash_file, hash_tree, hash_value, run_id
from nexova_sim.base.log import user_folder, write_crash
from nexova_sim.base.units import SUFFIXES, UNITS, suffix_of, to_house


def test_an_error_carries_message_code_and_detail():
    error = LockedError("out: busy", holder="42")
    assert (str(error), error.message, error.code, error.exit_code) == ("out: busy", "out: busy", "LOCKED", 3)
    assert error.detail == {"holder": "42"}
    assert isinstance(error, DataError)
    assert isinstance(error, NexovaError)


def test_codes_are_distinct_words():
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, NexovaError)]
    codes = [k.code for k in kinds]
    assert len(set(codes)) == len(codes)
    assert all(code.isupper() for code in codes)
    assert {k.exit_code for k in kinds} == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("name", "allowed", "text"),
    [
        ("cooling_rate", ["cooling_rate_per_s", "tau"], "did you mean 'cooling_rate_per_s'?"),
        ("x", ["b", "a"], "choose one of: a, b"),
        ("x", [], "no name is allowed here"),
        ("x", [f"name{n:02d}" for n in range(30)], "name19, ..."),
    ],
)
def test_suggest(name, allowed, text):
    assert suggest(name, allowed).endswith(text)
    assert len(suggest("z" * 1000, [f"{n}" * 5 for n in range(1000)])) < 400


def test_need_extra_names_the_command_that_helps():
    error = need_extra("prophet", "forecast", "nexova forecast")
    assert "pip install 'nexova-sim[forecast]'" in error.message
    assert error.detail == {"library": "prophet", "extra": "forecast"}
    assert error.exit_code == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=6))
def test_equal_values_have_equal_hashes_in_any_order(value):
    turned = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(turned)
    assert hash_value({"a": value}) == hash_value({"a": turned})
    assert hash_value([value]) != hash_value([value, None])


@pytest.mark.parametrize("value", [math.nan, [math.inf]])
def test_what_json_lacks_has_no_hash(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_a_known_hash():
    assert canonical_json({"b": 1.5, "a": [True, None, "é"]}) == '{"a":[true,null,"é"],"b":1.5}'
    assert hash_value({}) == hashlib.sha256(b"{}").hexdigest()
    assert run_id("a", 1) == hashlib.sha256(b'["a",1]').hexdigest()[:12]
    assert run_id("a", 1) != run_id("a1")


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3_000_000])
def test_hash_file_is_sha256_of_the_bytes(tmp_path, size):
    data = np.random.default_rng(size).bytes(size)
    path = tmp_path / "f"
    path.write_bytes(data)
    assert hash_file(path) == hashlib.sha256(data).hexdigest()


def test_hash_tree_sees_names_bytes_and_folders(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "deep/b.py").write_text("2")
    seen = {hash_tree(tmp_path)}
    (tmp_path / "note.md").write_text("not code")
    assert hash_tree(tmp_path) in seen
    (tmp_path / "deep/b.py").write_text("3")
    seen.add(hash_tree(tmp_path))
    (tmp_path / "deep/b.py").rename(tmp_path / "deep/c.py")
    seen.add(hash_tree(tmp_path))
    (tmp_path / "deep/c.py").rename(tmp_path / "c.py")
    seen.add(hash_tree(tmp_path))
    assert len(seen) == 4


def test_code_hash_depends_on_the_rooms_only_by_name():
    assert code_hash("base", "schema") == code_hash("schema", "base")
    assert code_hash("base") != code_hash("schema")
    assert code_hash() not in {code_hash("base"), code_hash("schema")}
    assert len(code_hash()) == 64


def test_the_private_folder_can_be_moved(tmp_path, monkeypatch):
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path))
    assert user_folder("log") == tmp_path / "log"
    monkeypatch.delenv("NEXOVA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert user_folder("log") == tmp_path / "xdg" / "nexova_sim" / "log"


def test_the_crash_log_holds_the_whole_story(tmp_path, monkeypatch):
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path))
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("outer ü \udc80".encode("ascii", "replace").decode()) from inner
    except ValueError as error:
        first, second = write_crash(error, "1.2.3"), write_crash(error, "1.2.3")
    assert first != second
    assert isinstance(first, Path)
    text = first.read_text(encoding="utf-8")
    for word in ("nexova_sim 1.2.3", "argv:", "KeyError: 'inner'", "ValueError: outer", "direct cause"):
        assert word in text


def test_a_crash_with_unprintable_text_is_logged(tmp_path, monkeypatch):
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path))
    path = write_crash(ValueError("name \udcff"), "1")
    assert path is not None
    assert "\\udcff" in path.read_text(encoding="utf-8")


def test_no_crash_log_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEXOVA_CACHE_DIR", str(tmp_path / "file"))
    assert write_crash(ValueError("x"), "1") is None


# Exact by definition of the units.
EXACT_VALUES = [
    (32.0, "degF", "degC", 0.0), (212.0, "degF", "degC", 100.0),
    (-40.0, "degF", "degC", -40.0), (273.15, "K", "degC", 0.0),
    (491.67, "degR", "degC", 0.0), (1500.0, "W", "kW", 1.5), (2.0, "MW", "kW", 2000.0), (1.0, "in/s", "mm/s", 25.4),
    (1.0, "cm/s", "mm/s", 10.0), (1.0, "m/s", "mm/s", 1000.0), (90.0, "min", "h", 1.5),
    (7200.0, "s", "h", 2.0), (2.0, "d", "h", 48.0),
    (5.0, "kW", "kW", 5.0),
]  # fmt: skip


@pytest.mark.parametrize(("value", "unit", "house", "expected"), EXACT_VALUES)
def test_units_convert_by_definition(value, unit, house, expected):
    assert math.isclose(to_house(value, unit, house, "x"), expected, rel_tol=1e-14, abs_tol=1e-12)
    many = to_house(np.array([value, value]), unit, house, "x")
    assert many.shape == (2,)
    assert math.isclose(many[1], expected, rel_tol=1e-14, abs_tol=1e-12)


def test_an_unknown_unit_is_told_with_the_nearest():
    with pytest.raises(ConfigError, match=r"map.yaml: temp: unknown unit 'degf' .* did you mean 'degF'"):
        to_house(1.0, "degf", "degC", "map.yaml: temp")
    with pytest.raises(ConfigError, match="unknown unit 'kg'"):
        to_house(1.0, "kg", "no such quantity", "x")


def test_every_house_unit_converts_to_itself():
    for house, table in UNITS.items():
        assert table[house] == (1.0, 0.0)
        assert house in SUFFIXES.values()
        assert SUFFIXES[str(suffix_of(f"x_{SUFFIX_OF[house]}"))] == house


SUFFIX_OF = {unit: suffix for suffix, unit in SUFFIXES.items()}
