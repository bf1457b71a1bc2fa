"""Hostile YAML, --set and files: every one ends in a ConfigError that names file and key, never in a traceback."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexova_sim.base.errors import EXIT_USAGE, ConfigError
from nexova_sim.cli.app import run
from nexova_sim.config.experiment import ExperimentConfig
from nexova_sim.config.ingest import IngestMap
from nexova_sim.config.kinds import FaultCatalogue, KindConfig
from nexova_sim.config.load import (
    MAX_BYTES,
    MAX_NODES,
    apply_overrides,
    build,
    load_fleet,
    parse_yaml,
    read_yaml,
)
from nexova_sim.config.strict import check_identifier
from nexova_sim.config.types import FleetConfig

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "configs/fleet/tiny.yaml"
FACTORY = {"id": "a", "latitude_deg": 1, "longitude_deg": 2, "machines": {"pump": 1}}
RAW = {"name": "x", "start": "2026-01-05T00:00:00Z", "days": 1, "factories": [FACTORY]}
BILLION = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
)

BAD_TEXT = {
    "billion laughs": (BILLION, r"aliases .* not allowed"),
    "alias": ("a: &x 1\nb: *x", ":2:4.*aliases"),
    "self alias": ("&a [*a]", "aliases"),
    "merge by alias": ("a: &x {k: 1}\nb: {<<: *x}", "aliases"),
    "duplicate": ("a: 1\nb: 2\na: 3", ":3:1.*'a' stands twice"),
    "duplicate below": ("x:\n  - {k: 1, k: 2}", "'k' stands twice"),
    "duplicate in quotes": ("a: 1\n'a': 2", "'a' stands twice"),
    "deep list": ("[" * 5000 + "]" * 5000, "nested deeper than 20"),
    "deep mapping": ("{a: " * 5000 + "}" * 5000, "nested deeper than 20"),
    "deep block": ("\n".join("  " * n + "k:" for n in range(500)), "nested deeper than 20"),
    "unclosed deep list": ("[" * 900_000, "nested deeper than 20"),
    "number key": ("1: x", "1 is not text"),
    "null key": ("~: x", "None is not text"),
    "date key": ("2026-01-01: x", "is not text"),
    "list key": ("? [a, b]\n: x", "is not text"),
    "mapping key": ("? {a: b}\n: x", "is not text"),
    "object tag": ("a: !!python/object/apply:os.system ['true']", "tags .* not allowed"),
    "name tag": ("a: !!python/name:os.system", "tags"),
    "own tag": ("a: !thing 1", "tags"),
    "number tag": ("a: !!int x", "tags"),
    "date tag": ("a: !!timestamp x", "tags"),
    "binary tag": ("a: !!binary aGk=", "tags"),
    "set tag": ("a: !!set {x}", "tags"),
    "empty tag": ("a: ! x", "tags"),
    "tab": ("a:\n\tb: 1", r"not valid YAML.*\\t"),
    "two documents": ("a: 1\n---\nb: 2", "document"),
    "unclosed": ("a: [1, 2", "not valid YAML"),
    "unclosed quote": ('a: "x', "not valid YAML"),
    "bad escape": (r'a: "\q"', "not valid YAML"),
    "control character": ("a: \x07", "not valid YAML"),
    "null byte": ("a: \x00", "not valid YAML"),
    "surrogate": ("a: \udc80", "not valid YAML"),
    "number of digits": ("a: " + "9" * 5000, "not valid YAML"),
    "no such day": ("a: 2026-02-30", "not valid YAML"),
    "no such zone": ("a: 2026-02-03T00:00:00+99:99", "not valid YAML"),
    "colon": ("a: b: c", "not valid YAML"),
    "too long": ("#" * (MAX_BYTES + 1), "at most 1000000"),
    "too many values": ("a: [" + "1," * MAX_NODES + "]", f"more than {MAX_NODES}"),
    "directive": ("%YAML 9.9\n---\na: 1", "not valid YAML"),
}


@pytest.mark.parametrize("name", BAD_TEXT)
def test_bad_text_is_refused_where_it_stands(name):
    text, words = BAD_TEXT[name]
    began = time.process_time()
    with pytest.raises(ConfigError, match="(?s)" + words) as caught:
        parse_yaml(text, "some/file.yaml")
    assert str(caught.value).startswith("some/file.yaml")
    assert len(str(caught.value)) < 500
    assert time.process_time() - began < 10.0


def test_nan_is_read_and_refused_by_the_types():
    assert math.isnan(parse_yaml(".nan", "x"))
    for text in (".nan", ".inf", "-.inf"):
        with pytest.raises(ConfigError, match=r"days: .*finite number, got"):
            build(FleetConfig, {**RAW, "days": parse_yaml(text, "x")}, "f")


FILES = {
    "empty": (b"", "got nothing"),
    "only comments": (b"# nothing\n", "got nothing"),
    "list": (b"- a\n- b\n", "got list"),
    "number": (b"7", "got int"),
    "text": (b"hello", "got str"),
    "latin-1": ("name: Zür".encode("latin-1"), "not UTF-8 text .byte 8."),
    "utf-16": ("name: x".encode("utf-16"), "not UTF-8 text"),
    "binary": (bytes(range(256)), "not UTF-8 text"),
    "zeros": (b"\0" * 100, "not valid YAML"),
    "large": (b"#" * (MAX_BYTES + 1), "more than 1000000 bytes"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_files(name, tmp_path):
    data, words = FILES[name]
    path = tmp_path / "f.yaml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=words) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))


def test_endless_and_missing_files(tmp_path):
    with pytest.raises(ConfigError, match="more than"):
        read_yaml(Path("/dev/zero"))
    with pytest.raises(ConfigError, match="is a folder"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "loop")


@pytest.mark.parametrize("name", ["x" * 5000, "a\x00b", "", ".", "no/such", "~/x.yaml"])
def test_bad_names_of_files(name):
    with pytest.raises(ConfigError):
        load_fleet(name)


BAD_VALUES = {
    "text for a number": ("days", "7", "days: .*number, got '7'"),
    "true for a number": ("days", True, "days: .*number, got True"),
    "true for an integer": ("seed", True, "seed: .*integer, got True"),
    "fraction for an integer": ("dt_s", 1.5, "dt_s: .*integer, got 1.5"),
    "date for a number": ("days", date(2026, 1, 1), "days: .*number"),
    "nothing for a number": ("days", None, "days: .*number, got None"),
    "list for a number": ("days", [1], "days: .*number"),
    "mapping for a number": ("days", {"a": 1}, "days: .*number"),
    "negative": ("days", -1, "days: .*greater than 0, got -1"),
    "zero": ("days", 0, "days: .*greater than 0"),
    "huge": ("days", 1e308, "days: .*36525"),
    "huge integer": ("seed", 10**5000, "seed: .*"),
    "negative seed": ("seed", -1, "seed: .*got -1"),
    "seed of 64 bits": ("seed", 2**64, "seed: .*less than"),
    "number for text": ("name", 7, "name: .*string, got 7"),
    "text for a list": ("factories", "abc", "factories: .*list"),
    "mapping for a list": ("factories", {"a": 1}, "factories: .*list"),
    "no factories": ("factories", [], "factories: .*at least 1"),
    "text in a list": ("factories", ["abc"], "factories.0: "),
    "nothing in a list": ("factories", [None], "factories.0: "),
    "start without zone": ("start", datetime(2026, 1, 1), "start: needs .* time zone"),
    "start without time": ("start", date(2026, 1, 1), "start: needs a time of day"),
    "start as a number": ("start", 5, "start: .*datetime, got 5"),
    "start as words": ("start", "tomorrow", "start: .*got 'tomorrow'"),
    "start before time": ("start", "0001-01-01T00:00:00+14:00", "start: must be a whole second between"),
    "start after time": ("start", "9999-12-31T23:59:59-14:00", "start: must be a whole second between"),
    "start before 1970": ("start", "1970-01-01T00:00:00+05:00", "start: must be a whole second between"),
    "start within a second": ("start", "2026-01-01T00:00:00.5Z", "start: must be a whole second"),
    "start off the grid": ("start", "2026-01-01T00:00:01Z", "start must fall on"),
    "one of a pair": ("start_age_frac", [0.1], "start_age_frac.*"),
    "three of a pair": ("start_age_frac", [0.1, 0.2, 0.3], "start_age_frac"),
    "text in a pair": ("start_age_frac", ["a", "b"], "start_age_frac.0: .*number, got 'a'"),
    "pair upside down": ("start_age_frac", [0.9, 0.1], "lowest, highest"),
    "unknown word": ("physics", "real", "physics: .*'plant' or 'seed', got 'real'"),
    "too short a span": ("days", 1e-9, "shorter than one slot"),
    "steps that do not fit": ("dt_s", 7, "must divide"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_bad_values_are_refused_by_key(name):
    key, value, words = BAD_VALUES[name]
    with pytest.raises(ConfigError, match="(?s)" + words) as caught:
        build(FleetConfig, {**RAW, key: value}, "some/file.yaml")
    assert str(caught.value).startswith("some/file.yaml: ")
    assert caught.value.exit_code == EXIT_USAGE
    assert len(str(caught.value)) < 2000


PATH_TRICKS = [
    "../x",
    "a/b",
    "..",
    ".",
    "",
    "/etc/passwd",
    "a\\b",
    "a b",
    "a\nb",
    "a\n",
    "\x00",
    "-a",
    "_a",
    "a.b",
    "ünï",
    "工場",
    "a" * 65,
    "con",
    "CON",
    "Nul",
    "lpt1",
    "COM9",
    "a:b",
    "a*",
    "$(x)",
    "a\u202eb",
    "\uff0e\uff0e",
    "%2e%2e",
]


@pytest.mark.parametrize("name", PATH_TRICKS)
def test_path_tricks_in_names(name):
    with pytest.raises(ValueError, match=r"must be 1 to 64|is the name of a device"):
        check_identifier(name)
    scheduled = {"machine": name, "fault": "x", "onset_h": 1, "hours": 1}
    places = {
        "name": {**RAW, "name": name},
        "factories.0.id": {**RAW, "factories": [{**FACTORY, "id": name}]},
        "factories.0.machines": {**RAW, "factories": [{**FACTORY, "machines": {name: 1}}]},
        "faults.scheduled.0.machine": {**RAW, "faults": {"scheduled": [scheduled]}},
    }
    for place, raw in places.items():
        with pytest.raises(ConfigError, match=place):
            build(FleetConfig, raw, "f")


@pytest.mark.parametrize("name", ["a", "A-1_b", "0", "a" * 64, "console", "com", "com10"])
def test_plain_names_pass(name):
    assert check_identifier(name) == name


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "dayz=3"],
        ["--set", "days=soon"],
        ["--set", "days=.nan"],
        ["--set", "factories.7.id=x"],
        ["--set", "name=../x"],
        ["--set", "factories.0.machines={pomp: 3}"],
        ["--set", "factories.0.machines.pump=-1"],
        ["--set", "kind_folder=/dev/null"],
        ["--set", "fault_catalogue=" + "x" * 5000],
        ["--set", "factories.0.timezone=../../etc/passwd"],
        ["--set", "seed=" + "9" * 4000],
        ["--set", "factories.0.timezone=" + "x" * 5000],
        ["--set", "factories.0.timezone=''"],
        ["--set", "start=0001-01-01T00:00:00+14:00"],
        ["--set", "factories.0.climate.csv=/dev/null"],
        ["--set", "factories.0.climate.csv=/dev/zero"],
        ["--set", "faults.only=[rust]"],
        ["--set", "faults.scheduled.0.machine=lyon-pump-999"],
        ["--set", "factories.0.machines={}"],
        ["--set", "faults.scheduled.0.fault=melting"],
        ["--set", "faults.scheduled.0.channel=smell"],
        ["--set", "kind_folder=''"],
        ["--set", "factories.0.timezone=Europe"],
        ["--set", "faults.scheduled.0.onset_h=1e9"],
        ["--set", "factories.0.climate.csv=configs/fleet/tiny.yaml"],
        ["--set", "factories.0.machines.pump=100000000"],
    ],
    ids=lambda words: words[1][:50],
)
def test_the_command_answers_in_one_error(arguments, capsys, tmp_path):
    assert run(["simulate", "-c", str(TINY), "--out", str(tmp_path / "out"), "--json", *arguments]) == EXIT_USAGE
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert error["code"] == "CONFIG"
    assert len(error["message"]) < 2000
    assert "Traceback" not in told.err
    assert list(tmp_path.iterdir()) == []


# Fuzzing: nothing but ConfigError may come out.

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
    | st.sampled_from(["2026-01-05T00:00:00Z", "pump", "plant", 10**400, -(2**63), 1e308, "06:00", "mon", "UTC"])
)
KEYS = st.sampled_from(
    [
        "name",
        "days",
        "start",
        "factories",
        "faults",
        "scheduled",
        "only",
        "machines",
        "pump",
        "calendar",
        "shifts",
        "output",
        "hours",
        "id",
        "climate",
        "csv",
        "tariff",
        "peak_hours",
        "severity",
        "rate_factor",
        "0",
        "maintenance",
        "interventions",
        "start_age_frac",
    ]
) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)
MODELS = st.sampled_from([FleetConfig, KindConfig, FaultCatalogue, IngestMap, ExperimentConfig])
YAMLISH = st.text(
    st.sampled_from(list("ab01.:-+{}[],&*!|>'\"%@`#?~<=_eExXnNtT \n\t\\/é\x00\x85\u2028\ufeff")), max_size=60
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(YAMLISH | st.text(max_size=40))
def test_any_text_parses_or_is_refused(text):
    try:
        value = parse_yaml(text, "x")
    except ConfigError as error:
        assert str(error).startswith("x")
    else:
        assert not isinstance(value, (set, bytes))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(MODELS, st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_value_builds_or_is_refused(model, raw):
    try:
        assert isinstance(build(model, raw, "x"), model)
    except ConfigError as error:
        assert "x: " in str(error)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(KEYS, VALUES)
def test_any_change_of_a_good_configuration(key, value):
    for raw in ({**RAW, key: value}, {**RAW, "factories": [{**FACTORY, key: value}]}, {**RAW, "faults": {key: value}}):
        try:
            fleet = build(FleetConfig, raw, "x")
        except ConfigError as error:
            assert str(error).startswith("x: ")
        else:
            again = build(FleetConfig, json.loads(fleet.model_dump_json()), "x")
            assert again == fleet


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(
        st.text(max_size=30)
        | st.builds(lambda k, v: ".".join(k) + "=" + v, st.lists(KEYS, min_size=1, max_size=4), YAMLISH),
        max_size=4,
    )
)
def test_any_setting_applies_or_is_refused(changes):
    try:
        raw = apply_overrides(RAW, changes)
        build(FleetConfig, raw, "x")
    except ConfigError as error:
        assert str(error).startswith(("--set ", "x: "))
    else:
        assert raw.keys() >= RAW.keys()
