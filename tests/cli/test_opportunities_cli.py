"""``nexova energy opportunities``: files, envelope, verification by re-simulation, hostile input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nexova_sim.cli.app import run
from nexova_sim.config.load import load, load_fleet
from nexova_sim.config.opportunity import OpportunityConfig
from nexova_sim.dataset.grid import gather
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.opportunities import find_opportunities, learn, local_hours, outline, summarise
from nexova_sim.run.opportunities_verify import Measure, load_resolved, measured_kind, prices, true_savings
from nexova_sim.simulate.plan import plan_fleet

CONFIG = OpportunityConfig()


def call(capsys, *arguments):
    code = run(["energy", "opportunities", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_verified_findings_are_written_once_and_read_again(capsys, tiny_dataset, tmp_path):
    out = tmp_path / "found"
    flags = (tiny_dataset, "--verify", "--set", "window_hours=40", "--out", out)
    code, text, _ = call(capsys, *flags, "--json")
    data = json.loads(text)["data"]
    assert (code, data["was_there"], data["n_opportunities"] > 0) == (0, False, True)
    assert sorted(p.name for p in out.iterdir()) == ["config.resolved.yaml", "manifest.json", "opportunities.json"]
    assert sum(data["phases"].values()) == len(data["learning"]) == 8
    for row in data["opportunities"]:
        parts = row["true_energy_usd_per_year"] + row["true_failure_usd_per_year"]
        assert row["true_saving_usd_per_year"] == pytest.approx(parts, abs=0.02)
    code, text, notes = call(capsys, *flags)
    assert code == 0
    assert "true $/year" in notes and Path(text.strip()).is_dir()
    assert call(capsys, *flags, "--json")[1].count('"was_there": true') == 1


def test_the_default_window_is_still_filling_after_two_days(capsys, tiny_dataset, tmp_path):
    code, _, notes = call(capsys, tiny_dataset, "--out", tmp_path / "found")
    assert code == 0
    assert "machines 8 in collection" in notes
    assert "0 opportunities" in notes


def test_the_built_in_file_states_the_defaults():
    assert load(OpportunityConfig, "configs/energy/opportunities.yaml") == CONFIG


def test_a_dry_run_writes_nothing(capsys, tiny_dataset, tmp_path):
    code, text, _ = call(capsys, tiny_dataset, "--dry-run", "--out", tmp_path / "found")
    assert (code, list(tmp_path.iterdir())) == (0, [])
    assert "machines: 8" in text
    assert outline(tiny_dataset, CONFIG, None, False)["window_hours"] == 500


@pytest.mark.parametrize(("flags", "code", "words"), [
    (["--set", "window_hours=0"], 2, "window_hours"),
    (["--set", "oversizing.ratio_frac=2.0"], 2, "ratio_frac"),
    (["--set", "oversising.ratio_frac=0.2"], 2, "oversizing"),
    (["--config", "configs/energy/no.yaml"], 2, "no such file"),
])  # fmt: skip
def test_bad_settings_are_refused(capsys, tiny_dataset, tmp_path, flags, code, words):
    got, _, errors = call(capsys, tiny_dataset, *flags, "--out", tmp_path / "found")
    assert got == code
    assert words in errors


def test_what_is_no_dataset_or_was_not_simulated_is_refused(capsys, tiny_dataset, tmp_path):
    assert call(capsys, tmp_path / "none")[0] == 3
    copy = tmp_path / "copy"
    shutil.copytree(tiny_dataset, copy)
    (copy / "config.resolved.yaml").unlink()
    code, _, errors = call(capsys, copy, "--verify", "--out", tmp_path / "found")
    assert code == 2
    assert "--verify" in errors
    (copy / "config.resolved.yaml").write_text("fleet: [", encoding="utf-8")
    assert call(capsys, copy, "--verify", "--out", tmp_path / "found")[0] == 3


def test_learning_and_summary_agree(tiny_dataset):
    dataset = open_dataset(tiny_dataset)
    config = CONFIG.model_copy(update={"window_hours": 30})
    found = learn(dataset, config, lambda _done, _total: None)
    summary = summarise(dataset, config, found, {}, False)
    assert summary["n_opportunities"] == sum(len(s.findings) for s in found.values())
    assert summary["saving_usd_per_year"] == pytest.approx(
        sum(r["saving_usd_per_year"] for r in summary["opportunities"])
    )
    assert summary["true_saving_usd_per_year"] is None


def test_hours_are_local(tiny_dataset):
    grid = gather(open_dataset(tiny_dataset))
    np.testing.assert_array_equal(local_hours(grid, "UTC")[:24], np.arange(24))
    np.testing.assert_array_equal(local_hours(grid, "Asia/Kolkata")[:3], [5, 6, 7])


def test_a_smaller_machine_does_the_same_work_and_a_shift_keeps_the_day(tiny_dataset):
    resolved = load_resolved(open_dataset(tiny_dataset))
    site = resolved.fleet.factories[0]
    kind = resolved.kinds["compressor"]
    small = measured_kind(kind, Measure("m", "OVERSIZING", ()), site, CONFIG)
    assert small.rated_kw * small.nominal_load_frac == pytest.approx(kind.rated_kw * kind.nominal_load_frac)
    pump = resolved.kinds["pump"]
    moved = measured_kind(pump, Measure("m", "PEAK_SHIFTING", (7, 8)), site, CONFIG)
    assert sum(moved.duty.hour_frac) == pytest.approx(sum(pump.duty.hour_frac))
    assert moved.duty.hour_frac[7] == pytest.approx(0.8 * pump.duty.hour_frac[7])
    assert moved.duty.hour_frac[23] > pump.duty.hour_frac[23]
    assert measured_kind(pump, Measure("m", "THERMAL_STRESS", ()), site, CONFIG) == pump


def test_true_savings_differ_by_the_measure_only(tiny_dataset):
    resolved = load_resolved(open_dataset(tiny_dataset))
    plan = plan_fleet(resolved)
    assert prices(resolved.fleet.factories[0], plan, 24, CONFIG).max() == pytest.approx(0.18)
    nothing = CONFIG.model_copy(update={"peak_shifting": CONFIG.peak_shifting.model_copy(update={"shift_frac": 1e-12})})
    shift = Measure("lyon-pump-001", "PEAK_SHIFTING", (8, 9, 17, 18))
    none = true_savings(resolved, [shift], nothing)["lyon-pump-001", "PEAK_SHIFTING"]
    assert none["true_saving_usd_per_year"] == pytest.approx(0.0, abs=1e-5)
    real = true_savings(resolved, [shift], CONFIG)["lyon-pump-001", "PEAK_SHIFTING"]
    assert real["true_energy_usd_per_year"] > 50.0
    cooled = true_savings(resolved, [Measure("lyon-pump-002", "THERMAL_STRESS", ())], CONFIG)
    assert cooled["lyon-pump-002", "THERMAL_STRESS"]["true_energy_usd_per_year"] == pytest.approx(0.0, abs=1e-6)


def test_the_public_face_has_it(tiny_dataset, tmp_path):
    done = find_opportunities(tiny_dataset, CONFIG, tmp_path / "found")
    assert load_fleet("configs/fleet/tiny.yaml").fleet.n_machines == len(done.summary["learning"])
