"""The mapping file: what it accepts, and what it answers when it does not."""

from __future__ import annotations

import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.ingest import IngestMap, load_map
from nexova_sim.config.load import build

LEAST = {
    "name": "plant",
    "timestamp": {"column": "t"},
    "machine": {"constant": "m1"},
    "channels": {"power_kw": {"column": "p", "unit": "kW"}},
}


def made(**changes):
    return build(IngestMap, {**LEAST, **changes}, "map.yaml")


@pytest.mark.parametrize("name", ["generic", "pump_bench", "steel_plant"])
def test_built_in_maps_load(root, name):
    assert load_map(root / f"configs/ingest/{name}.yaml").name


def test_overrides(root):
    got = load_map(root / "configs/ingest/generic.yaml", ["delimiter=';'", "timestamp.timezone=Europe/Paris"])
    assert (got.delimiter, got.timestamp.timezone) == (";", "Europe/Paris")


def test_defaults_keep_other_columns_and_know_missing_texts():
    got = made()
    assert got.extra == ["*"]
    assert {"", "NaN", "null"} <= set(got.missing)
    assert made(extra="*").extra == ["*"]


def test_columns_of_a_rule():
    got = made(
        channels={"power_kw": {"multiply": ["I", "U"], "factor": 0.001, "unit": "kW"}}, timestamp={"column": ["d", "t"]}
    )
    assert got.channels.given()["power_kw"].columns == ("I", "U")
    assert got.timestamp.columns == ("d", "t")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"delimter": ";"}, "did you mean 'delimiter'"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": ",", "decimal": ","}, "cannot separate"),
        ({"encoding": "utf-16"}, "encoding"),
        ({"timestamp": {"column": "t", "timezone": "Europe/Pariss"}}, "Europe/Paris"),
        ({"timestamp": {"column": "t", "timezone": "../etc/passwd"}}, "time zone"),
        ({"timestamp": {"column": "t", "format": "yyyy-mm-dd"}}, "strptime"),
        ({"timestamp": {"column": "t", "format": "%H:%M"}}, "year, month and day"),
        ({"timestamp": {"column": "t", "format": "%d/%m/%Y %Q"}}, "strptime"),
        ({"timestamp": {"column": "t", "format": "%Y-%m-%d %H:%M %Z"}}, "%Z"),
        ({"timestamp": {"column": "t", "format": "unix_s", "midnight": "end"}}, "midnight"),
        ({"machine": {}}, "exactly one"),
        ({"machine": {"constant": "m", "column": "id"}}, "exactly one"),
        ({"machine": {"constant": "../m"}}, "machine.constant"),
        ({"machine": {"file_name": "("}}, "regular expression"),
        ({"machine": {"file_name": "x.csv"}}, "exactly one group"),
        ({"channels": {"power_kw": {"column": "p", "unit": "degF"}}}, "unknown unit 'degF'"),
        ({"channels": {"temperature_c": {"column": "p", "unit": "F"}}}, "degF"),
        ({"channels": {"power_kw": {"column": "p"}}}, "unit"),
        ({"channels": {"power_kw": {"unit": "kW"}}}, "exactly one of 'column', 'multiply'"),
        ({"channels": {"power_kw": {"multiply": ["a", "b", "c"], "unit": "kW"}}}, "multiply"),
        ({"channels": {"power_kw": {"column": "p", "unit": "kWh"}}}, "interval_s"),
        ({"channels": {"power_kw": {"column": "p", "unit": "kW", "interval_s": 900}}}, "interval_s"),
        ({"channels": {"runtime_h": {"column": "p", "unit": "kWh", "interval_s": 900}}}, "only become power_kw"),
        ({"channels": {"power_kw": {"column": "p", "unit": "kW", "factor": 0}}}, "factor"),
        ({"channels": {"pressure": {"column": "p", "unit": "bar"}}}, "unknown key 'pressure'"),
        ({"status": {"column": "s"}}, "go together"),
        ({"status": {"column": "s", "values": {"1": "RUNNING"}}}, "ONLINE"),
        ({"status": {"offline_below_kw": 1.0}, "channels": {}}, "needs channels.power_kw"),
        ({"runtime": {}, "channels": {"runtime_h": {"column": "h", "unit": "h"}}}, "not both"),
        ({"machines": {"m1": {"factory": "sites"}}}, "did you mean 'site'"),
        ({"factories": [{"id": "a"}, {"id": "a"}]}, "unique"),
        ({"extra": [{"column": "a", "name": "Bad Name"}]}, "extra"),
        ({"extra": [{"column": "a", "name": "x"}, {"column": "b", "name": "x"}]}, "unique"),
        ({"timestamp": {"column": "t", "shift_s": float("nan")}}, "finite"),
    ],
)  # fmt: skip
def test_mistakes_are_named(changes, says):
    with pytest.raises(ConfigError) as caught:
        made(**changes)
    assert says in caught.value.message
    assert caught.value.message.startswith("map.yaml: ")
