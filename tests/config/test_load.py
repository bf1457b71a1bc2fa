"""Loading configurations: what YAML means here, overrides, unknown keys, where files are found, what is resolved."""

from __future__ import annotations

import math
import os
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.kinds import FaultCatalogue, KindConfig
from nexova_sim.config.load import (
    apply_overrides,
    build,
    builtin_folder,
    find_config,
    load,
    load_faults,
    load_fleet,
    load_kind,
    parse_yaml,
    read_weather,
    read_yaml,
    resolve_fleet,
    shown,
)
from nexova_sim.config.types import FleetConfig, ResolvedFleet

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "configs/fleet/tiny.yaml"
FACTORY = {"id": "a", "latitude_deg": 1, "longitude_deg": 2, "machines": {"pump": 1}}
RAW = {"name": "x", "start": "2026-01-05T00:00:00Z", "days": 1, "factories": [FACTORY]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14:00", "14:00"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("<<", "<<"),
        ("=", "="),
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("1.5E-2", 0.015),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1.", 1.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'7'", "7"),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
        ("2026-01-05", date(2026, 1, 5)),
        ("2026-1-5", "2026-1-5"),
        (".", "."),
        ("-", "-"),
        ("1e", "1e"),
        (".inf", math.inf),
        ("2026-01-05T06:00:00Z", datetime(2026, 1, 5, 6, tzinfo=UTC)),
        ("é", "é"),
        ("\ufeff7", 7),
    ],
)
def test_plain_text_means_what_it_says(text, value):
    if text == "-":
        assert parse_yaml("a: '-'", "x") == {"a": "-"}
        return
    got = parse_yaml(text, "x")
    assert (got, type(got)) == (value, type(value))


def test_a_byte_order_mark_and_windows_lines_are_fine(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - 2\r\n")
    assert read_yaml(path) == {"a": 1, "b": [2]}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("a: 1"))
    writer.start()
    assert read_yaml(pipe) == {"a": 1}
    writer.join()


UNKNOWN = [
    ({"dayz": 1}, "unknown key 'dayz'; did you mean 'days'?"),
    ({"faults": {"rate_faktor": 1}}, "faults: unknown key 'rate_faktor'; did you mean 'rate_factor'?"),
    ({"factories": [{**FACTORY, "latitude": 1}]}, "factories.0: unknown key 'latitude'; did you mean 'latitude_deg'?"),
    (
        {"factories": [{**FACTORY, "calendar": {"shifts": [{"name": "x", "dayz": []}]}}]},
        "factories.0.calendar.shifts.0: unknown key 'dayz'; did you mean 'days'?",
    ),
    ({"faults": {"scheduled": [{"machin": "x"}]}}, "unknown key 'machin'; did you mean 'machine'?"),
    ({"qqqqqqqq": 1}, "unknown key 'qqqqqqqq'; choose one of: "),
]


@pytest.mark.parametrize(("extra", "words"), UNKNOWN)
def test_unknown_keys_name_the_nearest_at_any_depth(extra, words):
    with pytest.raises(ConfigError) as caught:
        build(FleetConfig, {**RAW, **extra}, "f.yaml")
    assert f"f.yaml: {words}" in str(caught.value) or words in str(caught.value)


def test_unknown_keys_inside_named_entries():
    """Below a mapping whose keys are names, and in another configuration than the fleet's."""
    raw = {"faults": {"hot": {"title": "x", "rate_per_yeer": 1.0, "hours": [1, 2], "effect": {"wear_per_hour": 1}}}}
    with pytest.raises(ConfigError) as caught:
        build(FaultCatalogue, raw, "f")
    assert "faults.hot: unknown key 'rate_per_yeer'; did you mean 'rate_per_year'?" in str(caught.value)
    assert "faults.hot.effect: unknown key 'wear_per_hour'; did you mean 'wear_per_h'?" in str(caught.value)
    kind = read_yaml(ROOT / "configs/kind/pump.yaml")
    kind["thermal"]["time_constant"] = 3
    with pytest.raises(ConfigError, match="thermal: unknown key 'time_constant'; did you mean 'time_constant_min'"):
        build(KindConfig, kind, "f")


def test_many_mistakes_are_told_together_but_not_all():
    with pytest.raises(ConfigError) as caught:
        build(FleetConfig, {f"k{n}": n for n in range(500)}, "f")
    assert str(caught.value).count("\n") == 8
    assert "more)" in str(caught.value)
    assert len(caught.value.detail["problems"]) == 50


BAD_SETTINGS = {
    "": "expected key.path=value",
    "days": "expected key.path=value",
    "=1": "expected key.path=value",
    ".=1": "expected key.path=value",
    "a..b=1": "expected key.path=value",
    ".days=1": "expected key.path=value",
    "days.=1": "expected key.path=value",
    ".".join("a" * 30) + "=1": "expected key.path=value",
    "days.x=1": "days is a value, not a mapping",
    "factories.1.id=a": "factories is a list, '1' is not a number of it; its numbers are 0 to 0",
    "factories.-1.id=a": "'-1' is not a number of it",
    "factories.x.id=a": "'x' is not a number of it",
    "factories.²=a": "'²' is not a number of it",
    "factories." + "9" * 5000 + "=a": "is not a number of it",
    "factories.0.calendar.holidays.0=2026-01-01": "holidays is a list, '0' is not a number of it; it is empty",
    "days=[1": "not valid YAML",
    "days=*a": "not valid YAML",
    "days=!!python/name:os.system": "tags",
    "days=\x07": "not valid YAML",
    "days=\udcff": "not valid YAML",
}


@pytest.mark.parametrize("setting", BAD_SETTINGS)
def test_bad_settings(setting):
    raw = {**RAW, "factories": [{**FACTORY, "calendar": {"holidays": []}}]}
    with pytest.raises(ConfigError) as caught:
        build(FleetConfig, apply_overrides(raw, [setting]), "f")
    assert BAD_SETTINGS[setting] in str(caught.value)
    assert str(caught.value).startswith("--set ")
    assert len(str(caught.value)) < 400


def test_settings_leave_the_original_alone():
    raw = {"a": {"b": [1, {"c": 2}]}, "n": None}
    changed = apply_overrides(raw, ["a.b.1.c=3", "a.b.0=x", "n.k.l=1", "new.er=[1, 2]", "e=", "t= spaced ", "q=a=b"])
    assert changed == {
        "a": {"b": ["x", {"c": 3}]},
        "n": {"k": {"l": 1}},
        "new": {"er": [1, 2]},
        "e": None,
        "t": "spaced",
        "q": "a=b",
    }
    assert raw == {"a": {"b": [1, {"c": 2}]}, "n": None}


def test_shown_is_short_whatever_it_shows():
    assert shown("x") == "'x'"
    assert len(shown("x" * 1000)) == 80
    assert shown(10**5000) == "a number of thousands of digits"


@pytest.mark.parametrize("path", sorted((ROOT / "configs/fleet").glob("*.yaml")), ids=lambda p: p.stem)
def test_built_in_fleets_load_and_survive_the_round_trip(path):
    resolved = load_fleet(path)
    assert resolved.fleet.name == path.stem
    again = build(ResolvedFleet, parse_yaml(yaml.safe_dump(resolved.model_dump(mode="json")), "x"), "x")
    assert again == resolved


def test_files_are_found_beside_built_in_or_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config("configs/fleet/tiny.yaml") == builtin_folder() / "fleet/tiny.yaml"
    (tmp_path / "configs/fleet").mkdir(parents=True)
    (tmp_path / "configs/fleet/tiny.yaml").write_text("a: 1")
    assert find_config("configs/fleet/tiny.yaml") == Path("configs/fleet/tiny.yaml")
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/x.yaml").write_text("a: 1")
    assert find_config("x.yaml", tmp_path / "beside") == tmp_path / "beside/x.yaml"
    with pytest.raises(ConfigError, match=r"did you mean 'plant\.yaml'"):
        find_config("configs/fleet/plent.yaml")


def test_load_reads_overrides_and_validates():
    fleet = load(FleetConfig, TINY, ["days=3", "factories.0.machines.pump=9"])
    assert (fleet.days, fleet.factories[0].machines["pump"]) == (3, 9)
    assert load_fleet(TINY, ["seed=1"], seed=5).fleet.seed == 5


def test_kinds_and_faults(tmp_path):
    folder = builtin_folder() / "kind"
    assert load_kind("pump", folder).kind.lower() == "pump"
    with pytest.raises(ConfigError, match=r"unknown machine kind 'pomp'.*did you mean 'pump'"):
        load_kind("pomp", folder)
    (tmp_path / "fan.yaml").write_text((folder / "pump.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(ConfigError, match="make them equal"):
        load_kind("fan", tmp_path)
    assert {"bearing_wear", "sensor_stuck"} <= set(load_faults("configs/fault/default.yaml").faults)


def test_only_what_is_used_is_resolved():
    fleet = load(FleetConfig, TINY, ["factories.0.machines={pump: 2, motor: 0}", "faults={only: [imbalance]}"])
    resolved = resolve_fleet(fleet)
    assert set(resolved.kinds) == {"pump"}
    assert set(resolved.fault_kinds) == {"imbalance"}
    with pytest.raises(ConfigError, match="unknown fault 'rust'"):
        resolve_fleet(load(FleetConfig, TINY, ["faults={only: [rust]}"]))


def test_weather_from_a_file(tmp_path):
    path = tmp_path / "w.csv"
    path.write_bytes(b"\xef\xbb\xbfhour,ambient_c\r\n0,1.5\r\n1,-3\r\n")
    assert read_weather(path) == [1.5, -3.0]
    resolved = load_fleet(TINY, [f"factories.0.climate.csv={path}"])
    assert resolved.weather == {"lyon": [1.5, -3.0]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column"),
        ("temp\n1", "no column 'ambient_c'; found: .'temp'"),
        ("ambient_c\n", "no rows"),
        ("ambient_c\n1\nx", ":3: ambient_c must be a number .* got 'x'"),
        ("ambient_c\nnan", ":2:"),
        ("ambient_c\ninf", ":2:"),
        ("ambient_c\n61", "from -60 to 60"),
        ("a,ambient_c\n1", "got None"),
        ('ambient_c\n"' + "1" * 200_000, "cannot be read as CSV"),
        ("ambient_c\n\xe9", "UTF-8"),
    ],
)
def test_bad_weather(tmp_path, text, words):
    path = tmp_path / "w.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=words) as caught:
        read_weather(path)
    assert str(caught.value).startswith(str(path))
