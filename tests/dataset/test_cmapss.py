"""Turbofan text files: what is read, what is refused."""

import numpy as np
import pytest

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.cli.app import run
from nexova_sim.dataset.cmapss import (
    CYCLE_MS,
    N_COLUMNS,
    START_MS,
    events_table,
    factories_table,
    machines_table,
    read_engines,
    readings_table,
    truth_table,
)
from nexova_sim.dataset.read import open_dataset
from nexova_sim.run.cmapss import ingest_cmapss, preview_cmapss, runs_to_failure


def lines(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [
        " ".join([str(unit + 1), str(c + 1), *(f"{v:.4f}" for v in random.random(24))]) + " "
        for unit, n in enumerate(lengths)
        for c in range(n)
    ]


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "train_FD001.txt"
    path.write_text("\n".join(lines([5, 3])) + "\n")
    return path


def test_engines_are_read(train):
    engines = read_engines(train, True)
    assert engines.ids == ("engine-001", "engine-002")
    assert engines.length.tolist() == [5, 3]
    assert engines.values.shape == (8, 24)
    readings = readings_table(engines)
    assert readings["runtime_h"].to_pylist() == [1, 2, 3, 4, 5, 1, 2, 3]
    truth = truth_table(engines)
    assert truth["rul_h"].to_pylist() == [5, 4, 3, 2, 1, 3, 2, 1]
    events = events_table(engines, True).to_pylist()
    assert [e["event"] for e in events] == ["status", "failure"] * 2
    assert round(events[1]["timestamp"].timestamp() * 1000) == START_MS + 5 * CYCLE_MS
    assert machines_table(engines).num_rows == 2
    assert factories_table().num_rows == 1


def test_remaining_lives_go_to_the_truth(tmp_path):
    test, rul = tmp_path / "test_FD001.txt", tmp_path / "RUL_FD001.txt"
    test.write_text("\n".join(lines([4, 2])))
    rul.write_text("112 \n 98\n")
    engines = read_engines(test, False, rul)
    assert truth_table(engines)["rul_h"].to_pylist() == [116, 115, 114, 113, 100, 99]
    assert truth_table(read_engines(test, False)) is None
    done = ingest_cmapss(test, rul, out=tmp_path / "d")
    assert open_dataset(done.folder).manifest.rows["readings"] == 6
    assert "truth" in open_dataset(done.folder).tables()
    assert ingest_cmapss(test, rul, out=tmp_path / "d").was_there


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: [], "1 to"),
        (lambda x: ["", ""], "no rows"),
        (lambda x: [*x[:2], "1 2 3"], f"3 columns; a file of this kind has {N_COLUMNS}"),
        (lambda x: [x[0].replace(" 1 ", " one ", 1)], "every column is a number"),
        (lambda x: [x[0], x[2]], "cycles count 1, 2, 3"),
        (lambda x: [*x, x[0]], "an engine comes twice"),
        (lambda x: [x[0].replace(x[0].split()[5], "nan")], "not finite"),
        (lambda x: ["0" + x[0][1:]], "engine 0"),
        (lambda x: [x[0] + "é"], "plain text"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, change, words):
    path = tmp_path / "train_x.txt"
    path.write_text("\n".join(change(lines([4, 3]))), encoding="utf-8")
    with pytest.raises(DataError, match="train_x") as error:
        read_engines(path, True)
    assert words in error.value.message


def test_files_that_do_not_belong_together(train, tmp_path):
    rul = tmp_path / "RUL.txt"
    rul.write_text("1\n2\n3\n")
    with pytest.raises(DataError, match="do not belong together"):
        read_engines(train, False, rul)
    rul.write_text("1\n-2\n")
    with pytest.raises(DataError, match="below 0"):
        read_engines(train, False, rul)
    with pytest.raises(DataError, match="no such file"):
        read_engines(tmp_path / "none.txt", True)
    with pytest.raises(DataError, match="is a folder"):
        read_engines(tmp_path, True)


def test_names_say_whether_engines_run_to_failure(tmp_path):
    assert runs_to_failure(tmp_path / "train_FD003.txt", None)
    assert not runs_to_failure(tmp_path / "test_FD003.txt", None)
    assert runs_to_failure(tmp_path / "x.txt", None, "failure")
    unknown = tmp_path / "x.txt"
    for path, rul, ends in ((unknown, None, "auto"), (unknown, tmp_path, "failure"), (unknown, None, "no")):
        with pytest.raises(ConfigError):
            runs_to_failure(path, rul, ends)


def test_the_command(train, tmp_path, capsys):
    assert preview_cmapss(train)["machines"] == 2
    assert run(["ingest", str(train), "--format", "cmapss", "--out", str(tmp_path / "d"), "--dry-run"]) == 0
    assert not (tmp_path / "d").exists()
    assert run(["ingest", str(train), "--format", "cmapss", "--out", str(tmp_path / "d")]) == 0
    for words, code in (
        ([str(train), "--format", "cmaps"], 2),
        ([str(train), "--format", "cmapss", "--map", "x"], 2),
        ([str(train), str(train), "--format", "cmapss"], 2),
        ([str(train)], 2),
        ([str(train), "--map", "configs/ingest/generic.yaml", "--rul", "x"], 2),
        ([str(tmp_path / "train_none.txt"), "--format", "cmapss"], 3),
    ):
        assert run(["ingest", *words]) == code, words
    capsys.readouterr()
