"""Forecasts of bad series through the commands: a clear error or a stated fallback, the rest of the fleet completes."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nexova_sim.cli.app import run

START = pd.Timestamp("2026-03-01T00:00:00Z")  # a change to summer time lies in the fifth week
DAYS = 42


def mapping(folder):
    path = folder / "map.yaml"
    path.write_text(
        "name: hostile\ntimestamp: {column: timestamp}\nmachine: {column: machine}\n"
        "default_machine: {kind: pump}\nchannels:\n  power_kw: {column: power_kw, unit: kW}\n", encoding="utf-8"
    )  # fmt: skip
    return path


def usual(rng, n):
    hours = np.arange(n)
    return 20.0 + 8.0 * np.sin(hours / 24 * 2 * np.pi) + 3.0 * (hours // 24 % 7 < 5) + 0.3 * rng.standard_normal(n)


def frame(name, values, hours=None):
    hours = np.arange(len(values)) if hours is None else hours
    return pd.DataFrame({"machine": name, "timestamp": START + pd.to_timedelta(hours, unit="h"), "power_kw": values})


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """Good and bad machines in one export: short, unmeasured, constant, off, doubled hours, shuffled, a long gap."""
    rng = np.random.default_rng(1)
    n = 24 * DAYS
    folder = tmp_path_factory.mktemp("hostile")
    doubled = usual(rng, n)
    gap = np.r_[0 : 24 * 20, 24 * 24 : n]
    parts = [
        frame("good", usual(rng, n)),
        frame("short", usual(rng, n)[-100:], np.arange(n - 100, n)),
        frame("one-hour", usual(rng, n)[-1:], np.arange(n - 1, n)),
        frame("unmeasured", np.full(n, np.nan)),
        frame("constant", np.full(n, 12.5)),
        frame("off", np.zeros(n)),
        pd.concat([frame("doubled", doubled), frame("doubled", doubled)[::3]]),
        frame("shuffled", usual(rng, n)).sample(frac=1.0, random_state=1),
        frame("gap", usual(rng, n)[gap], gap),
        frame("ended", usual(rng, n)[: 24 * 10], np.arange(24 * 10)),
    ]
    table = pd.concat(parts)
    table["timestamp"] = table["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    path = folder / "export.csv"
    table.to_csv(path, index=False)
    assert run(["ingest", str(path), "--map", str(mapping(path.parent)), "--out", str(folder / "data"), "--quiet"]) == 0
    return folder / "data"


@pytest.mark.parametrize("model", ["blend", "hour_of_week", "prophet_map", "seasonal_naive_24"])
def test_bad_series_do_not_stop_the_good_ones(plant, tmp_path, capsys, model):
    capsys.readouterr()
    words = ["forecast", "predict", str(plant), "--set", f"model={model}", "--set", "timezone=Europe/Paris"]
    assert run([*words, "--out", str(tmp_path / "p"), "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)["data"]
    rows = {r["series"]: r for r in found["series"]}
    for name in ("good", "doubled", "shuffled", "constant", "off", "gap"):
        assert rows[name]["model"] is not None, (name, rows[name])
        assert np.isfinite(rows[name]["week_kwh"])
    assert rows["good"]["model"] == model
    assert rows["unmeasured"]["model"] is None
    assert "no valid hour" in rows["unmeasured"]["why"]
    assert rows["one-hour"]["model"] is None
    assert rows["short"]["why"]
    assert rows["short"]["model"] not in (None, model)
    assert rows["off"]["week_kwh"] == pytest.approx(0.0, abs=1.0)
    assert rows["constant"]["week_kwh"] == pytest.approx(12.5 * 168, rel=0.02)
    assert rows["shuffled"]["week_kwh"] == pytest.approx(rows["good"]["week_kwh"], rel=0.05)
    assert rows["doubled"]["week_kwh"] == pytest.approx(rows["good"]["week_kwh"], rel=0.05)


def test_a_backtest_of_bad_series_has_finite_tables(plant, tmp_path, capsys):
    capsys.readouterr()
    words = ["forecast", "backtest", str(plant), "--set", "backtest.models=[blend, median4, hour_of_week]"]
    assert run([*words, "--set", "timezone=Europe/Paris", "--out", str(tmp_path / "b"), "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)["data"]
    for row in found["models"].values():
        assert np.isfinite(row["mase"])
        assert np.isfinite(row["wape"])
    off = next(m for m in found["machines"] if m["series"] == "off")
    assert off["is_met"] is None
    assert off["mase"] is None


@pytest.mark.parametrize(("rows", "code"), [("", 3), ("a,2026-01-01T00:00:00Z,\n", 3)])
def test_nothing_to_forecast_is_a_data_error(tmp_path, rows, code):
    path = tmp_path / "export.csv"
    path.write_text("machine,timestamp,power_kw\n" + rows, encoding="utf-8")
    made = run(["ingest", str(path), "--map", str(mapping(path.parent)), "--out", str(tmp_path / "data"), "--quiet"])
    if made == 0:
        made = run(["forecast", "predict", str(tmp_path / "data"), "--out", str(tmp_path / "p"), "--quiet"])
    assert made == code
    assert not (tmp_path / "p").exists()
