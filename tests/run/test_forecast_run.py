"""Forecasts through folders, commands, stage and chapter."""

import json
from datetime import date

import numpy as np
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import DataError
from nexova_sim.cli.app import run
from nexova_sim.cli.forecast_page import backtest_page
from nexova_sim.config.experiment import load_experiment
from nexova_sim.config.forecast import load_forecast
from nexova_sim.config.load import load_fleet
from nexova_sim.dataset.read import open_dataset
from nexova_sim.forecast.backtest import ORACLE
from nexova_sim.forecast.forecast import forecast_at
from nexova_sim.forecast.forecasters import Options
from nexova_sim.forecast.hours import read_series
from nexova_sim.report.forecast import bars, fans, forecast_html
from nexova_sim.report.forecast_figures import draw_fan, lines_by_origin
from nexova_sim.run import bench_forecast as bench
from nexova_sim.run import bench_forecast_accuracy as accuracy
from nexova_sim.run import forecast as verb
from nexova_sim.run.experiment import run_experiment
from nexova_sim.run.forecast_calendar import planned_holidays, planned_series
from nexova_sim.run.forecast_fit import fitted_table, load_fitted, model_text, series_hash
from nexova_sim.run.forecast_floor import floor_energy
from nexova_sim.run.simulate import simulate

RULES = ["model=median4", "backtest.origins=2", "backtest.models=[median4, hour_of_week]", "backtest.floor_replicas=3"]


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    fleet = load_fleet(
        "configs/fleet/tiny.yaml", ["days=35", "dt_s=3600", "load_interval_s=3600", "faults.scheduled=[]"]
    )
    return simulate(fleet, tmp_path_factory.mktemp("month") / "data", jobs=1).folder


def test_a_forecast_leaves_a_whole_folder(month, tmp_path):
    done = verb.predict(month, load_forecast("configs/forecast/default.yaml", RULES), tmp_path / "p")
    table = pq.read_table(done.folder / verb.FORECAST)
    assert table.num_rows == 9 * 168
    assert (table["low_kwh"].to_numpy() <= table["mean_kwh"].to_numpy()).all()
    times = np.unique(table["timestamp"].cast("int64").to_numpy())
    assert len(times) == 168
    assert times[0] == done.result["origin_ms"]
    assert verb.predict(month, load_forecast("configs/forecast/default.yaml", RULES), tmp_path / "p").was_there
    again = verb.predict(month, load_forecast("configs/forecast/default.yaml", RULES), tmp_path / "q")
    assert (again.folder / verb.FORECAST).read_bytes() == (done.folder / verb.FORECAST).read_bytes()
    assert verb.read_result(done.folder, "predict") == done.result
    with pytest.raises(DataError, match="cannot be read"):
        verb.read_result(tmp_path, "predict")
    assert fans(done.folder)[0].name == "lyon"


def test_a_backtest_leaves_a_row_per_model_origin_and_series(month, tmp_path):
    done = verb.backtest(month, load_forecast("configs/forecast/default.yaml", RULES), tmp_path / "b")
    table = pq.read_table(done.folder / verb.BACKTEST)
    assert table.num_rows == 5 * 2 * 9
    models = done.result["models"]
    assert set(models) == {"median4", "hour_of_week", "seasonal_naive_24", "seasonal_naive_168", ORACLE}
    assert models[ORACLE]["mase"] < min(row["mase"] for name, row in models.items() if name != ORACLE)
    assert models[ORACLE]["coverage_frac"] is None
    assert verb.backtest(month, load_forecast("configs/forecast/default.yaml", RULES), tmp_path / "b").was_there
    plan = verb.outline(month, load_forecast("configs/forecast/default.yaml", RULES), True)
    assert plan["origins"] == 2


def test_the_commands(month, tmp_path, capsys):
    words = [w for rule in RULES for w in ("--set", rule)]
    assert run(["forecast", "predict", str(month), *words, "--out", str(tmp_path / "p"), "--dry-run"]) == 0
    assert not (tmp_path / "p").exists()
    assert run(["forecast", "predict", str(month), *words, "--out", str(tmp_path / "p")]) == 0
    capsys.readouterr()
    assert run(["forecast", "backtest", str(month), *words, "--out", str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["origins"] == 2
    assert run(["forecast", "backtest", str(month), *words, "--out", str(tmp_path / "b"), "--dry-run"]) == 0
    assert run(["forecast", "backtest", str(month), *words, "--out", str(tmp_path / "b")]) == 0
    made, told = capsys.readouterr()
    assert made.splitlines()[-1] == str(tmp_path / "b")
    for words in ("not told", "pinball", "width", "week cost", "its median", "left out", "met by", "lyon-pump-001"):
        assert words in told, words
    for more, code in (
        (["--set", "model=crystal"], 2),
        (["--set", "calendar.holidays={nowhere: [2026-01-06]}"], 2),
        (["--set", "calendar.holidays={lyon: [2026-13-06]}"], 2),
        (
            ["--set", "calendar.stops=[{factory: lyon, machine: x, start: 2026-02-01T00:00Z, end: 2026-02-02T00:00Z}]"],
            2,
        ),
        (["--set", "calendar.stops=[{factory: rome, start: 2026-02-01T00:00Z, end: 2026-02-02T00:00Z}]"], 2),
        (["--set", "timezone=Mars/Olympus"], 2),
    ):
        assert run(["forecast", "predict", str(month), *more, "--out", str(tmp_path / "x")]) == code
    assert run(["forecast", "predict", str(tmp_path / "none")]) == 3
    assert not (tmp_path / "x").exists()


def test_a_dataset_too_short_for_a_backtest(tiny_dataset, tmp_path):
    with pytest.raises(DataError, match="a backtest needs at least"):
        verb.backtest(tiny_dataset, load_forecast("configs/forecast/default.yaml"), tmp_path / "b")
    found = verb.predict(tiny_dataset, load_forecast("configs/forecast/default.yaml"), tmp_path / "p").result
    assert all(r["why"] for r in found["series"])
    assert {r["model"] for r in found["series"]} <= {"hour_of_day", None}


def test_stage_and_chapter(month, tmp_path):
    section = {"overrides": RULES}
    config = {"name": "f", "dataset": str(month), "forecast": section, "report": {"max_figures": 0}}
    (tmp_path / "x.yaml").write_text(json.dumps(config))
    done = run_experiment(load_experiment(tmp_path / "x.yaml"), tmp_path / "out")
    page = done.exports[0].read_text(encoding="utf-8")
    assert 'id="forecast"' in page
    folder = next(s.folder for s in done.stages if s.name == "forecast") / "forecast"
    html, css = forecast_html(folder)
    for words in (
        "How good the models were",
        "RMSSE",
        "pinball",
        "width",
        "oracle floor",
        "The gate, machine by machine",
        "Below 12 origins nothing is called better",
        "hours (7",
        "seasonal naive 168",
    ):
        assert words in html, words
    assert "</style" not in css
    (folder / "predict" / "predict.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        forecast_html(folder)


def test_planned_holidays_are_known_without_being_told(month):
    """A holiday runs like a Sunday; a factory's own are known, those in the configuration come first."""
    dataset = open_dataset(month)
    rules = load_forecast("configs/forecast/default.yaml", ["levels=[machine]"])
    days = planned_holidays(dataset)["lyon"]
    assert date(2026, 4, 6) in days
    assert planned_series(dataset, rules).holidays == (days,) * 8
    own = load_forecast("configs/forecast/default.yaml", ["levels=[machine]", "calendar.holidays={lyon: [2026-02-10]}"])
    assert planned_series(dataset, own).holidays[0] == (date(2026, 2, 10),)
    off = load_forecast("configs/forecast/default.yaml", ["levels=[machine]", "calendar.from_dataset=false"])
    assert planned_series(dataset, off).holidays[0] == ()
    quiet = forecast_at(planned_series(dataset, own), 35 * 24, "median4", 1440, Options())
    usual = forecast_at(planned_series(dataset, off), 35 * 24, "median4", 1440, Options())
    ahead = np.flatnonzero(quiet.mean.sum(axis=0) != usual.mean.sum(axis=0))
    assert set(ahead // 24) <= {0, 1} and len(ahead) > 12  # Tuesday 10 February in Lyon, an hour before UTC
    assert quiet.mean[:, 24:47].sum() < 0.9 * usual.mean[:, 24:47].sum()


def test_accuracy_is_a_benchmark(month, monkeypatch):
    found = accuracy.judged(month, ("levels=[machine]", "backtest.origins=2"))
    models = found["models"]
    assert accuracy.ratio(found, "mase", ("median4", "prophet_map")) == models["blend"]["mase"] / min(
        models["median4"]["mase"], models["prophet_map"]["mase"])  # fmt: skip
    gap = found["against"]["median4"]
    np.testing.assert_allclose(
        accuracy.behind(found, "median4") * models["median4"]["mase"],
        models["median4"]["mase"] + gap["mean"] + 2 * gap["se"],
    )
    monkeypatch.delenv(accuracy.STEEL, raising=False)
    accuracy.steel.cache_clear()
    assert accuracy.steel() is None
    assert accuracy.BENCHMARKS["forecast_steel_naive"].measure() is None
    monkeypatch.setattr(accuracy, "fleet", lambda: found)
    assert accuracy.coverage() == 100.0 * models["blend"]["coverage_frac"]
    assert accuracy.BENCHMARKS["forecast_fleet_msis"].measure() > 0


def test_pictures_of_the_chapter():
    week = [np.full(168, v) for v in (5.0, 4.0, 6.0)]
    fan = draw_fan("m<1>", np.r_[np.full(30, 5.0), np.nan, 5.0], week, 1_767_571_200_000)
    assert "m&lt;1&gt;" in fan.svg and "NaN" not in fan.svg and "nan" not in fan.svg
    assert fan.week_kwh == 840.0
    assert [day for _, day, _ in fan.days] == ["Su", "Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
    svg, top, keys = lines_by_origin([("a", [1.0, None, 2.0]), ("b", [0.5, 0.5, 0.5])])
    assert top == pytest.approx(2.1)
    assert svg.count("<path") == 2 and [name for name, _ in keys] == ["a", "b"]
    judged = {"model": "b", "models": {"a": {"mase": 2.0}, "b": {"mase": 1.0}, "c": {"mase": None}}}
    assert [(b.name, b.width, b.is_own) for b in bars(judged)] == [("b", 50.0, True), ("a", 100.0, False),
                                                                  ("c", 0.0, False)]  # fmt: skip
    assert backtest_page(
        {**judged, "origins": 1, "series": 1, "gate_mape_percent": 5.0, "running_limit_frac": 0.05, "running_hours": 0,
         "judged_hours": 0, "gate_met_machines": 0, "gate_judged_machines": 0, "machines": [], "models": {},
         "against": {}}).startswith("1 origins")  # fmt: skip


def test_benchmarks_measure():
    assert bench.fleet_panel(3).energy_kwh.shape == (3, 1440)
    assert bench.blend_cpu(4) > 0
    assert bench.map_cpu(4) > 0


@pytest.mark.slow
def test_benchmarks_against_the_library():
    found = bench.match(3)
    assert found is not None
    assert found.won_frac >= 2 / 3
    assert bench.map_ratio() > 100
    assert bench.map_won() >= 0.9
    assert bench.map_gap() < 5


def test_a_fitted_model_is_kept_until_the_data_change(month, tmp_path, capsys):
    rules = load_forecast("configs/forecast/default.yaml", RULES)
    plain = verb.predict(month, rules, tmp_path / "p")
    done = verb.fit(month, rules, tmp_path / "m")
    assert verb.fit(month, rules, tmp_path / "m").was_there
    model = load_fitted(tmp_path / "m")
    assert model.config == rules
    assert model.data_hash == done.result["data_hash"]
    other = load_forecast("configs/forecast/default.yaml", ["model=hour_of_week"])
    kept = verb.predict(month, other, tmp_path / "k", model=tmp_path / "m")
    assert kept.result["fit"] == "kept"
    assert (kept.folder / verb.FORECAST).read_bytes() == (plain.folder / verb.FORECAST).read_bytes()
    fleet = load_fleet(
        "configs/fleet/tiny.yaml", ["days=36", "dt_s=3600", "load_interval_s=3600", "faults.scheduled=[]"]
    )
    longer = simulate(fleet, tmp_path / "longer", jobs=1).folder
    again = verb.predict(longer, other, tmp_path / "a", model=tmp_path / "m")
    assert again.result["fit"].startswith("again")
    assert again.result["origin_ms"] == plain.result["origin_ms"] + 86_400_000
    assert run(["forecast", "fit", str(month), "--set", "model=median4", "--out", str(tmp_path / "c")]) == 0
    assert run(["forecast", "fit", str(month), "--dry-run", "--out", str(tmp_path / "never")]) == 0
    words = ["forecast", "predict", str(month), "--model"]
    assert run([*words, str(tmp_path / "c"), "--out", str(tmp_path / "d")]) == 0
    assert run([*words, str(tmp_path / "c"), "--set", "seed=1", "--out", str(tmp_path / "e")]) == 2
    assert run([*words, str(tmp_path / "none"), "--out", str(tmp_path / "e")]) == 3
    (tmp_path / "c" / "model.json").write_text("{}", encoding="utf-8")
    assert run([*words, str(tmp_path / "c"), "--out", str(tmp_path / "e")]) == 3
    assert not (tmp_path / "e").exists()
    assert "was changed" in capsys.readouterr().err


def test_parts_of_a_model_folder(month):
    rules = load_forecast("configs/forecast/default.yaml", RULES)
    series = read_series(open_dataset(month), rules)
    other = series._replace(energy_kwh=series.energy_kwh + 1e-9)
    assert series_hash(series) == series_hash(series._replace()) != series_hash(other)
    made = forecast_at(series, series.n_hours, "median4", 1440, Options())
    assert json.loads(model_text(series, made, rules))["data_hash"] == series_hash(series)
    assert fitted_table(series, made).num_rows == 9 * 168
    lines = [json.loads(line) for line in verb.ready_events(series, made, rules).splitlines()]
    assert len(lines) == 8
    assert len(lines[0]["meanKwh"]) == 168


def test_the_forecast_is_an_event(month, tmp_path, capsysbinary):
    done = verb.predict(month, load_forecast("configs/forecast/default.yaml", RULES), tmp_path / "p")
    table = pq.read_table(done.folder / verb.RESIDUALS)
    assert table.num_rows == 9 * done.result["residual_hours"] == 9 * 14 * 24
    ready = str(done.folder / verb.READY)
    assert run(["events", "replay", str(month), "--types", "forecast_ready", "--forecasts", ready]) == 0
    events = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert len(events) == 8
    assert {e["type"] for e in events} == {"forecast_ready"}
    assert events[0]["forecast"]["intervalPercent"] == 95


def test_the_floor_is_the_mean_of_other_lives(month):
    rules = load_forecast("configs/forecast/default.yaml", RULES)
    dataset = open_dataset(month)
    series = read_series(dataset, rules)
    floor = floor_energy(dataset, series, 3)
    assert floor.shape == series.energy_kwh.shape
    machines = [i for i, level in enumerate(series.levels) if level == "machine"]
    factory = series.levels.index("factory")
    np.testing.assert_allclose(floor[factory], floor[machines].sum(axis=0), rtol=1e-9)
    ratio = np.nanmean(floor[machines]) / np.nanmean(series.energy_kwh[machines])
    assert 0.85 < ratio < 1.15
    assert floor_energy(dataset, series, 0) is None
