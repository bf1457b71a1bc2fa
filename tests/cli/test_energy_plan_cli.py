"""``nexova energy plan`` and ``explain``: files, envelope, replays, hostile input."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.energy_stage import EnergyStage, read_energy_stage
from nexova_sim.config.plan import load_plan
from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.energy_explain import explain, find_plan, open_replay, step_of
from nexova_sim.run.energy_plan import cost_row, outline_plan, plan, plan_table, planner
from nexova_sim.run.plan_fit import compared, fit_model, judge, make_world, spread
from nexova_sim.run.plan_site import map_dataset, peak_hours
from nexova_sim.run.plan_usual import (
    expected_ambient_c,
    last_statuses,
    read_forecast,
    tomorrow_of,
    usual,
    wandering_kw,
    week_hours,
    zone_of,
)
from nexova_sim.run.plan_words import reason
from nexova_sim.schedule.controllers import FIXED
from nexova_sim.schedule.modelfile import load_model
from nexova_sim.schedule.site import make_site
from nexova_sim.schedule.tomorrow import make_day
from nexova_sim.schedule.trace import trace_day

CONFIG = "configs/energy/plan.yaml"
FAST = ["fit_iterations=3", "fit_population=4", "fit_days=2", "n_scenarios=4"]
FLAGS = [part for text in FAST for part in ("--set", text)]


def call(capsys, *arguments):
    code = run(["energy", *map(str, arguments)])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def planned(tiny_dataset, tmp_path_factory):
    return plan(tiny_dataset, load_plan(CONFIG, FAST), None, tmp_path_factory.mktemp("plan") / "p")


def test_a_plan_leaves_table_pictures_and_costs(capsys, tiny_dataset, tmp_path):
    out = tmp_path / "p"
    code, text, notes = call(capsys, "plan", tiny_dataset, "--config", CONFIG, *FLAGS, "--out", out)
    assert code == 0
    assert text == f"{out}\n" and "the plan saves $" in notes
    assert "base load:" in notes
    assert sorted(p.name for p in out.iterdir()) == [
        "config.resolved.yaml", "manifest.json", "model.json", "plan.parquet", "plan.png", "plan.svg", "replay.json",
        "schedule.json",
    ]  # fmt: skip
    data = json.loads(call(capsys, "plan", tiny_dataset, *FLAGS, "--out", out, "--json")[1])["data"]
    assert data["was_there"] is True
    table = pq.read_table(out / "plan.parquet").to_pandas()
    assert len(table) == 96 * len(data["machines"])
    by_machine = table.groupby("machine_id")["power_kw"].sum() * 0.25
    for row in data["machines"]:
        assert row["energy_kwh"] == pytest.approx(by_machine[row["machine_id"]], abs=0.01)
    assert (table["is_on"] == (table["load_frac"] > 0.0)).all()
    own = data["controller"]
    assert own in ("bids", "fitted")
    parts = [v for k, v in data["costs"][own].items() if k.endswith("_usd") and k != "total_usd"]
    assert sum(parts) == pytest.approx(data["costs"][own]["total_usd"], abs=0.001)
    gap = data["costs"]["bau"]["total_usd"] - data["costs"][own]["total_usd"]
    assert data["saving_usd"]["bau"] == pytest.approx(gap, abs=0.001)
    assert data["saving_usd"]["bau"] > 0.0


def test_the_mapping_keeps_machines_work_and_base(tiny_dataset):
    opened = open_dataset(tiny_dataset)
    whole, part = map_dataset(opened, load_plan(CONFIG)), map_dataset(opened, load_plan(CONFIG, ["most_machines=3"]))
    names = {p.ident for p in whole.machines}
    assert {p.ident for p in part.machines} < names
    left = [p for p in whole.machines if p.ident not in {q.ident for q in part.machines}]
    np.testing.assert_allclose(part.outlook.base_kw, sum(p.usual_kw for p in left))
    kept = min(float(p.usual_kw.sum()) for p in part.machines)
    assert kept >= max(float(p.usual_kw.sum()) for p in left)
    assert (whole.outlook.quota_h <= 0.95 * 8.0).all()
    # At the part-load curve of its kind, a machine that runs as usual draws about what it drew.
    site = make_site(whole.site)
    for j, placed in enumerate(whole.machines):
        load = placed.work_h.sum() / 24.0
        mean = site.rated_kw[j] * (site.fixed[j] + site.linear[j] * load + site.square[j] * load**2)
        assert mean == pytest.approx(placed.usual_kw.mean(), rel=0.5)
    assert any("part-load" in words for words in whole.assumed)
    assert peak_hours(load_plan(CONFIG, ["peak_hours=[7,8]"]).plan, whole.site) == [7, 8]


def test_usual_hours_fall_back_to_the_clock_then_the_mean(tiny_dataset):
    values = np.array([[1.0, 2.0, np.nan, 4.0]])
    clock = np.array([0, 1, 24 + 1, 24 + 2])
    np.testing.assert_allclose(usual(values, clock, np.array([0, 25, 26, 100])), [[1.0, 2.0, 4.0, 7.0 / 3.0]])
    assert np.isnan(usual(np.full((1, 4), np.nan), clock, np.array([0]))).all()
    opened = open_dataset(tiny_dataset)
    day = tomorrow_of(opened, "Europe/Paris")
    assert (day.week_hours[0] % 24, len(day.week_hours)) == (6, 24)
    grid = gather(opened, 3600.0, ("power_kw",))
    assert (np.diff(week_hours(grid, "UTC")) % 168 == 1).all()
    assert set(last_statuses(opened).values()) <= {"running", "standing", "maintenance"}
    factory = opened.read("factories").to_pylist()[0]["factory_id"]
    assert expected_ambient_c(opened, factory, day).shape == (24,)
    assert expected_ambient_c(opened, "nowhere", day) is None
    with pytest.raises(DataError, match="time zone"):
        zone_of("Mars/Olympus")


def test_the_wandering_of_the_base_load_is_measured():
    rng = np.random.default_rng(2)
    hours = np.arange(20 * 168) % 168
    power = np.stack([30.0 + hours / 10.0, rng.normal(20.0, 4.0, len(hours))])
    assert wandering_kw(power, hours) == pytest.approx(4.0, rel=0.05)
    assert wandering_kw(power[:, :335], hours[:335]) is None


def test_explain_tells_the_bid_and_replays_the_opposite(capsys, planned):
    table = pq.read_table(planned.folder / "plan.parquet").to_pandas()
    name = table["machine_id"].iloc[0]
    for time in ("06:00", "12:30", "18:45"):
        code, text, _ = call(capsys, "explain", planned.folder, "--machine", name, "--time", time, "--json")
        told = json.loads(text)["data"]
        assert code == 0
        replay = open_replay(planned.folder)
        k = step_of(replay, time)
        row = table[table["machine_id"] == name].iloc[k]
        assert (told["load_frac"], told["is_on"]) == (pytest.approx(row["load_frac"], abs=1e-4), bool(row["is_on"]))
        other = told["counterfactual"]
        gap = other["difference_usd"]
        parts = sum(v for key, v in gap.items() if key != "total_usd")
        assert parts == pytest.approx(gap["total_usd"], abs=0.001)
        place = next(r for r in told["admission"] if r["machine_id"] == name)
        assert place["granted_frac"] == pytest.approx(told["wanted_frac"], abs=1e-4)
        urgency = [r["urgency"] for r in told["admission"]]
        assert urgency == sorted(urgency, reverse=True)
    code, text, _ = call(capsys, "explain", planned.folder, "--machine", name, "--time", "07:00")
    assert (code, "instead, the rest of the day replayed" in text) == (0, True)


def test_explain_makes_the_plan_of_a_dataset_and_knows_other_controllers(capsys, tiny_dataset, tmp_path, monkeypatch,
                                                                         root):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    shutil.copytree(root / "configs", tmp_path / "configs")
    resolved = load_plan(CONFIG, FAST)
    folder = find_plan(tiny_dataset, resolved, "bau")
    assert planner(resolved, "bau") == ("bau", None)
    told = explain(tiny_dataset, resolved, open_replay(folder).machines[0], "08:00", model="bau")
    assert told["plan"] == str(folder)
    assert "gives no reasons" in told["why"][0]
    assert told["why"] == reason("bau", None, 0, (told["wanted_frac"], told["load_frac"]),
                                 trace_day(*open_replay(folder)[2:5]).stock_h[8, 0])  # fmt: skip
    assert find_plan(folder, resolved) == folder
    with pytest.raises(ConfigError, match="a plan already"):
        find_plan(folder, resolved, "bau")


@pytest.mark.parametrize("method", ["context", "ppo"])
def test_a_trained_policy_plans_for_another_fleet_and_is_explained(capsys, tiny_dataset, tmp_path, root, method):
    model = root / f"configs/energy/models/{method}-1.json"
    done = plan(tiny_dataset, load_plan(CONFIG, FAST), str(model), tmp_path / "p")
    assert done.summary["controller"] == method
    name, moved = open_replay(done.folder).machines[0], set()
    for time in ("06:15", "10:30", "16:45"):
        code, text, _ = call(capsys, "explain", done.folder, "--machine", name, "--time", time, "--json")
        told = json.loads(text)["data"]
        place = next(r for r in told["admission"] if r["machine_id"] == name)
        assert (code, place["granted_frac"]) == (0, pytest.approx(told["wanted_frac"], abs=1e-4))
        moved.add(told["bid"]["moved_factor"])
    assert moved - {1.0}


def test_a_replay_costs_what_the_plan_says(planned):
    replay = open_replay(planned.folder)
    trace = trace_day(replay.controller, replay.site, replay.day)
    assert cost_row(trace) == planned.summary["costs"][planned.summary["controller"]]


def test_a_forecast_takes_the_place_of_the_usual_hours(capsys, tiny_dataset, tmp_path):
    opened = open_dataset(tiny_dataset)
    mapped = map_dataset(opened, load_plan(CONFIG))
    day = mapped.day
    name = mapped.machines[0].ident
    hours = day.start_ms + 3_600_000 * np.arange(24)
    table = plan_table(mapped, _as_run(planned_folder=None, mapped=mapped))
    assert table.num_rows == 96 * len(mapped.machines)
    import pyarrow as pa

    rows = pa.table({"series": [name] * 24, "timestamp": pa.array(hours).cast(pa.timestamp("ms", tz="UTC")),
                     "mean_kwh": 0.5 * mapped.machines[0].usual_kw})  # fmt: skip
    pq.write_table(rows, tmp_path / "forecast.parquet")
    np.testing.assert_allclose(read_forecast(tmp_path, day)[name], 0.5 * mapped.machines[0].usual_kw)
    told = map_dataset(opened, load_plan(CONFIG), tmp_path)
    placed = next(p for p in told.machines if p.ident == name)
    np.testing.assert_allclose(placed.work_h, np.minimum(0.5 * mapped.machines[0].work_h, 1.1))
    assert told.base_from.startswith("forecast of 1 of ")
    code, _, error = call(capsys, "plan", tiny_dataset, "--forecast", tmp_path / "none", "--out", tmp_path / "x")
    assert (code, "forecast predict" in error) == (2, True)
    (tmp_path / "forecast.parquet").write_bytes(b"no")
    assert call(capsys, "plan", tiny_dataset, "--forecast", tmp_path, "--out", tmp_path / "x")[0] == 3


def _as_run(planned_folder, mapped):
    from nexova_sim.schedule.controllers import FIXED
    from nexova_sim.schedule.tomorrow import make_day

    assert planned_folder is None
    site = make_site(mapped.site)
    return trace_day(FIXED["flat"](), site, make_day(site, mapped.outlook))


def test_a_dry_run_writes_nothing(capsys, tiny_dataset, tmp_path):
    out = tmp_path / "p"
    code, text, _ = call(capsys, "plan", tiny_dataset, "--dry-run", "--out", out, "--json")
    data = json.loads(text)["data"]
    assert (code, out.exists(), len(data["machines"]) > 0) == (0, False, True)
    assert data == outline_plan(tiny_dataset, load_plan(CONFIG, FAST), None, out)


@pytest.mark.parametrize("settings", [
    ["prices_usd_per_kwh=[0.1]"], ["factory=atlantis"], ["most_machines=0"], ["other_kind=balloon"],
    ["model=nowhere.json"], ["compare=[bau,bau]"], ["site=nowhere.yaml"], ["speed=3"], ["prices_usd_per_kwh=[x]"],
    ["model=configs/energy/plan.yaml"], ["fit_population=5"], ["work_spread_frac=1.0"],
])  # fmt: skip
def test_wrong_settings_are_refused(capsys, tiny_dataset, tmp_path, settings):
    flags = [part for text in settings for part in ("--set", text)]
    code, _, error = call(capsys, "plan", tiny_dataset, *flags, "--out", tmp_path / "p")
    assert code in (2, 3), error
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(("settings", "machines"), [
    (["most_machines=1"], 1),
    (["prices_usd_per_kwh=[" + ",".join(["-0.05"] * 12 + ["0.3"] * 12) + "]"], None),
    (["prices_usd_per_kwh=[" + ",".join(["0.0"] * 24) + "]"], None),
    (["contract_frac=0.0"], None),
    (["compare=[]"], None),
])  # fmt: skip
def test_odd_but_possible_sites_are_planned(capsys, tiny_dataset, tmp_path, settings, machines):
    flags = [part for text in (*FAST, *settings) for part in ("--set", text)]
    code, text, _ = call(capsys, "plan", tiny_dataset, *flags, "--out", tmp_path / "p", "--json")
    data = json.loads(text)["data"]
    assert code == 0
    assert machines is None or len(data["machines"]) == machines
    assert np.isfinite([v for row in data["costs"].values() for v in row.values()]).all()
    assert np.isfinite([row["mean_usd"] for row in data["scenarios"]["costs"].values()]).all()


def test_a_model_of_another_fleet_is_refused(capsys, tiny_dataset, tmp_path, root):
    raw = (root / "configs/energy/workshop.yaml").read_text(encoding="utf-8")
    for old, new in (("  pump:", "  fan: "), ("kind: pump", "kind: fan")):
        raw = raw.replace(old, new)
    (tmp_path / "site.yaml").write_text(raw, encoding="utf-8")
    flags = (*FLAGS, "--set", f"site={tmp_path / 'site.yaml'}", "--out", tmp_path / "p")
    code, _, error = call(capsys, "plan", tiny_dataset, *flags)
    assert (code, "made for a fleet of the kinds" in error) == (3, True)
    assert call(capsys, "plan", tiny_dataset, *flags, "--model", "bau")[0] == 0


@pytest.mark.parametrize(("flags", "code"), [
    (("--machine", "nobody", "--time", "08:00"), 2),
    (("--machine", "{m}", "--time", "25:99"), 2),
    (("--machine", "{m}", "--time", "2031-01-01T00:00"), 2),
    (("--machine", "{m}", "--time", ""), 2),
    (("--machine", "{m}", "--time", "08:00", "--hours", "0"), 2),
    (("--machine", "{m}", "--time", "08:00", "--hours", "nan"), 2),
    (("--machine", "{m}", "--time", "08:00", "--model", "bau"), 2),
])  # fmt: skip
def test_explain_refuses_what_is_not_in_the_plan(capsys, planned, flags, code):
    name = planned.summary["machines"][0]["machine_id"]
    assert call(capsys, "explain", planned.folder, *(f.replace("{m}", name) for f in flags))[0] == code


def test_damaged_plans_are_refused(capsys, planned, tmp_path):
    name = planned.summary["machines"][0]["machine_id"]
    empty = '{"format":"nexova-energy-plan"}'
    for file, text in (("replay.json", "{}"), ("replay.json", "[1"), ("model.json", "{}"), ("manifest.json", empty)):
        folder = tmp_path / f"{file}-{text[:2]}"
        shutil.copytree(planned.folder, folder)
        (folder / file).write_text(text, encoding="utf-8")
        assert call(capsys, "explain", folder, "--machine", name, "--time", "08:00")[0] == 3
    assert call(capsys, "explain", tmp_path / "nothing", "--machine", name, "--time", "08:00")[0] == 3


def test_the_section_of_an_experiment_is_read(root):
    part = read_energy_stage(EnergyStage(), root / "configs" / "experiment")
    assert part.evaluate.evaluate.controllers[0] == "bau"
    assert part.plan.plan.most_machines == 12


def test_the_fitted_scheduler_is_kept_only_when_it_costs_less(tiny_dataset, planned, tmp_path):
    """The choice is made on other days than the fit; the shipped one is always shown beside it."""
    rows = planned.summary["scenarios"]["costs"]
    own = planned.summary["controller"]
    assert {"fitted", "bids"} < set(rows)
    assert rows[own]["mean_usd"] == min(rows["fitted"]["mean_usd"], rows["bids"]["mean_usd"])
    shipped = plan(tiny_dataset, load_plan(CONFIG, [*FAST, "fit_iterations=0"]), None, tmp_path / "p").summary
    assert shipped["controller"] == "bids"
    assert "fitted" not in shipped["costs"]
    assert shipped["costs"]["bids"] == planned.summary["costs"]["bids"]


def test_controllers_are_judged_on_the_same_days(tiny_dataset, root):
    config = load_plan(CONFIG, FAST).plan
    mapped = map_dataset(open_dataset(tiny_dataset), load_plan(CONFIG))
    site = make_site(mapped.site)
    world = make_world(site, make_day(site, mapped.outlook), config)
    model = load_model(root / "configs/energy/models/bids-0.json")
    fitted = fit_model(world, model, config)
    assert list(fitted.parameters) == list(model.parameters)
    assert fitted.made["from"] == model.made
    costs = judge(world, {"bau": FIXED["bau"](), "flat": FIXED["flat"]()})
    told = compared(costs, "flat")
    assert told["n_days"] == 4
    assert told["saving"]["bau"]["mean_usd"] == pytest.approx((costs["bau"] - costs["flat"]).mean(), abs=1e-3)
    assert spread(np.array([1.0, 3.0]))["mean_usd"] == 2.0


def test_a_dataset_without_energy_is_refused(capsys, tiny_dataset, tmp_path, monkeypatch):
    def silent(dataset, step_s, channels, progress=None):
        grid = gather(dataset, step_s, channels)
        return grid._replace(mean=np.full_like(grid.mean, np.nan), energy_kwh=np.full_like(grid.energy_kwh, np.nan))

    for module in ("plan_site", "opportunities"):
        monkeypatch.setattr(f"nexova_sim.run.{module}.gather", silent)
    for verb in ("plan", "opportunities"):
        code, _, error = call(capsys, verb, tiny_dataset, "--out", tmp_path / verb)
        assert (code, "energy" in error, (tmp_path / verb).exists()) == (3, True, False)
