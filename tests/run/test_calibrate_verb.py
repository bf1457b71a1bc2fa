"""``nexova twin calibrate``: files, kinds that simulate accepts, constant channels, too few rows, hostile input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nexova_sim.base.errors import EXIT_DATA, EXIT_OK, EXIT_USAGE, DataError
from nexova_sim.cli.app import run
from nexova_sim.config.calibrate import CalibrateConfig
from nexova_sim.config.load import load_fleet, load_kind
from nexova_sim.run.calibrate import calibrate, kind_name, outline, read_calibration
from nexova_sim.run.simulate import simulate

PUMP = "lyon-pump-002"


@pytest.fixture(scope="module")
def fitted(tiny_dataset, tmp_path_factory):
    return calibrate(tiny_dataset, [PUMP], CalibrateConfig(), tmp_path_factory.mktemp("fit") / "run")


def changed(dataset: Path, folder: Path, edit) -> Path:
    """A copy of a dataset whose readings went through ``edit`` (a function of a pandas-free dict of arrays)."""
    shutil.copytree(dataset, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["files"]:
        if entry["table"] == "readings" and entry["path"].endswith(".parquet"):
            path = folder / entry["path"]
            table = pq.read_table(path, partitioning=None)
            pq.write_table(edit(table), path, write_page_checksum=True)
    return folder


def test_a_fitted_kind_is_one_that_simulate_accepts(fitted, tmp_path):
    name = kind_name(PUMP)
    kind = load_kind(name, fitted.folder / "kind")
    row = {p["name"]: p for p in fitted.summary["machines"][0]["parameters"]}
    assert kind.thermal.rise_at_rated_k == row["thermal.rise_at_rated_k"]["value"]
    raw = f"""
name: fitted
start: 2026-01-05T00:00:00Z
days: 1
kind_folder: {fitted.folder / "kind"}
factories:
  - {{id: f, latitude_deg: 45.0, longitude_deg: 4.0, machines: {{{name}: 2}}}}
"""
    (tmp_path / "fleet.yaml").write_text(raw)
    done = simulate(load_fleet(tmp_path / "fleet.yaml"), tmp_path / "data")
    assert done.manifest.n_machines == 2


def test_a_fit_that_is_there_is_read(fitted, tiny_dataset):
    again = calibrate(tiny_dataset, [PUMP], CalibrateConfig(), fitted.folder)
    assert again.was_there
    assert again.summary == fitted.summary == read_calibration(fitted.folder)
    assert outline(tiny_dataset, [PUMP], CalibrateConfig())["kinds"] == ["pump"]
    assert kind_name("a b/ü") == "fit-a-b--"


def test_a_constant_channel_and_too_few_rows_are_told(tiny_dataset, tmp_path):
    def flat(table):
        column = table.schema.get_field_index("vibration_mm_s")
        return table.set_column(column, table.schema.field(column), pa.array(np.full(table.num_rows, 1.5, np.float32)))

    def few(table):
        return table.slice(0, 40)

    with pytest.raises(DataError, match=r"vibration_mm_s is 1\.5 in all"):
        calibrate(changed(tiny_dataset, tmp_path / "flat", flat), [PUMP], CalibrateConfig(), tmp_path / "a")
    with pytest.raises(DataError, match="too few"):
        calibrate(changed(tiny_dataset, tmp_path / "few", few), ["lyon-pump-001"], CalibrateConfig(), tmp_path / "b")
    with pytest.raises(DataError, match="too short"):
        calibrate(tiny_dataset, [PUMP], CalibrateConfig(least_hours=100.0), tmp_path / "c")


def test_the_command(tiny_dataset, tmp_path, capsys):
    words = ["twin", "calibrate", str(tiny_dataset), "-m", PUMP, "--out", str(tmp_path / "f")]
    assert run([*words, "--dry-run"]) == EXIT_OK
    assert not (tmp_path / "f").exists()
    assert run(words) == EXIT_OK
    assert "not identifiable" in capsys.readouterr().err
    assert run([*words, "--json"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out)["data"]["was_there"] is True


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["-m", "nobody"], EXIT_DATA, "nobody"),
        ([], EXIT_USAGE, "machine"),
        (["-m", PUMP, "--set", "block_h=-1"], EXIT_USAGE, "block_h"),
        (["-m", PUMP, "--set", "least_hours=1000"], EXIT_DATA, "too short"),
    ],
)
def test_bad_input_is_told_in_one_line(tiny_dataset, tmp_path, capsys, words, code, told):
    assert run(["twin", "calibrate", str(tiny_dataset), "--out", str(tmp_path / "x"), *words]) == code
    seen = capsys.readouterr()
    assert told in seen.err
    assert "Traceback" not in seen.err
    assert not (tmp_path / "x").exists()


def test_a_damaged_run_is_told(tmp_path):
    with pytest.raises(DataError, match="damaged"):
        read_calibration(tmp_path)
