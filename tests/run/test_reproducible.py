"""Same configuration and seed, same bytes: whatever threads, process, processor target, or what was done before."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forge import FLEET, contents

from nexova_sim.config.load import load_fleet
from nexova_sim.config.types import ResolvedFleet
from nexova_sim.run.simulate import default_folder, fleet_hash, no_progress, outline, simulate, write_block
from nexova_sim.simulate import tables
from nexova_sim.simulate.blocks import run_block_periods
from nexova_sim.simulate.plan import plan_block, plan_fleet

PER_MACHINE = ("readings", "truth", "labels", "events", "machines", "build")


def fleet(folder: Path, text: str = FLEET, *settings: str) -> ResolvedFleet:
    path = folder / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    return load_fleet(path, settings)


@pytest.fixture(scope="module")
def resolved(tmp_path_factory) -> ResolvedFleet:
    return fleet(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def stored(resolved, tmp_path_factory) -> Path:
    """The dataset of one thread: the reference of this file."""
    return simulate(resolved, tmp_path_factory.mktemp("stored") / "out", jobs=1).folder


def table(folder: Path, name: str) -> pa.Table:
    """A table with plain machine names, in machine and time order as it is stored."""
    parts = [pq.ParquetFile(p).read() for p in sorted((folder / name).rglob("*.parquet"))]
    return plain(pa.concat_tables(parts))


def plain(whole: pa.Table) -> pa.Table:
    columns = [c.cast(pa.string()) if pa.types.is_dictionary(c.type) else c for c in whole.columns]
    return pa.table(dict(zip(whole.column_names, columns, strict=True)))


def of(whole: pa.Table, machine: str) -> pa.Table:
    return whole.filter(pa.compute.equal(whole["machine_id"], machine))


def check_same(left: pa.Table, right: pa.Table, what: str) -> None:
    """Equal to the bit; NaN equals NaN."""
    assert left.num_rows == right.num_rows, what
    assert left.column_names == right.column_names
    for name in left.column_names:
        a, b = left[name].combine_chunks(), right[name].combine_chunks()
        if pa.types.is_floating(a.type):
            assert a.is_null().equals(b.is_null()), f"{what}: {name}"
            assert a.fill_null(0).to_numpy().tobytes() == b.fill_null(0).to_numpy().tobytes(), f"{what}: {name}"
        else:
            assert a.equals(b), f"{what}: {name}"


def test_the_example_is_worth_comparing(stored):
    assert len(contents(stored)) > 40
    assert table(stored, "readings").num_rows > 30_000
    assert {"failure", "maintenance_start"} <= set(table(stored, "events")["event"].to_pylist())
    assert len(set(table(stored, "labels")["fault"].to_pylist())) >= 8


@pytest.mark.parametrize("jobs", [2, 3, 7])
def test_any_number_of_threads(resolved, stored, tmp_path, jobs):
    assert contents(simulate(resolved, tmp_path / "out", jobs=jobs).folder) == contents(stored)


def test_the_name_of_the_folder_does_not_matter(resolved, stored, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = simulate(resolved, jobs=2)
    assert done.folder == default_folder(resolved)
    assert done.folder.parts[:3] == ("results", "simulate", "forged")
    assert contents(done.folder) == contents(stored)


def test_a_run_that_was_interrupted(resolved, stored, tmp_path):
    """Stopped by an error at several places, with another number of threads each time, and completed."""
    out = tmp_path / "out"
    for stop_at, jobs in ((1, 2), (3, 1), (4, 2)):
        seen = []

        def stop(done: int, _total: int, seen=seen, stop_at=stop_at) -> None:
            seen.append(done)
            if len(seen) >= stop_at:
                raise InterruptedError(4, "stopped here")

        with pytest.raises(Exception, match="cannot write"):
            simulate(resolved, out, jobs, progress=stop)
        assert not out.exists()
    assert contents(simulate(resolved, out, jobs=2).folder) == contents(stored)


def test_a_resumed_run_keeps_what_is_there(resolved, stored, tmp_path):
    """Every subset of the readings may be there already: each missing file is made as if it were made first."""
    import shutil

    out, partial = tmp_path / "out", tmp_path / "out.partial"

    def stop(_done: int, _total: int) -> None:
        raise InterruptedError(4, "stopped here")

    with pytest.raises(Exception, match="cannot write"):
        simulate(resolved, out, 1, progress=stop)
    for number, source in enumerate(sorted(stored.rglob("*.parquet"))):
        target = partial / source.relative_to(stored)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if number % 3:
            shutil.copy2(source, target)
    times = {p.relative_to(partial): p.stat().st_mtime_ns for p in partial.rglob("*.parquet")}
    assert contents(simulate(resolved, out, jobs=2).folder) == contents(stored)
    assert {p: (out / p).stat().st_mtime_ns for p in times} == times


PROGRAM = """
import sys
from pathlib import Path
from nexova_sim.config.load import load_fleet
from nexova_sim.run.simulate import simulate
simulate(load_fleet(sys.argv[1]), Path(sys.argv[2]), jobs=2)
"""


def in_a_process(config: Path, out: Path, **environment: str) -> None:
    command = [sys.executable, "-c", PROGRAM, str(config), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr


def test_another_process(stored, tmp_path):
    (tmp_path / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    settings = {"PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
    in_a_process(tmp_path / "fleet.yaml", tmp_path / "out", **settings)
    assert contents(tmp_path / "out") == contents(stored)


def test_the_generic_processor(stored, tmp_path):
    """Compiled for the plainest x86-64 (no AVX, no FMA): the same bytes as for this machine's own processor."""
    is_x86 = platform.machine().lower() in {"x86_64", "amd64"}
    (tmp_path / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    target = {"NUMBA_CPU_NAME": "x86-64" if is_x86 else "generic", "NUMBA_CPU_FEATURES": ""}
    in_a_process(tmp_path / "fleet.yaml", tmp_path / "out", NEXOVA_CACHE_DIR=str(tmp_path / "cache"), **target)
    assert contents(tmp_path / "out") == contents(stored)
    assert list((tmp_path / "cache").rglob("*.nbc"))  # it was compiled anew


def test_any_machine_alone(stored, tmp_path):
    """A fleet that holds only the first machines of a kind: their rows are those of the whole fleet."""
    whole = {name: table(stored, name) for name in PER_MACHINE}
    for kind, count in (("pump", 1), ("motor", 2), ("compressor", 1), ("conveyor", 3)):
        home = tmp_path / kind
        home.mkdir()
        text = FLEET.replace("{pump: 20, motor: 12, compressor: 4, conveyor: 4}", f"{{{kind}: {count}}}")
        alone = simulate(fleet(home, text), home / "out", jobs=1).folder
        machine = f"lyon-{kind}-{count:03d}"
        for name in PER_MACHINE:
            check_same(of(table(alone, name), machine), of(whole[name], machine), f"{machine} {name}")


def test_any_window_alone(resolved, stored):
    """Only one period is computed with its rows: they equal the stored file."""
    plan = plan_fleet(resolved)
    for number in range(len(plan.blocks)):
        block = plan_block(plan, number)
        for period in plan.periods:
            chunks = run_block_periods(plan, block, frozenset({period.number}))
            chunk = next(c for c in chunks if c.period.number == period.number)
            path = stored / "readings" / period.label / f"part-{number:05d}.parquet"
            made, kept = plain(tables.readings_table(plan, block, chunk)), plain(pq.ParquetFile(path).read())
            check_same(made, kept, f"block {number}, {period.label}")


def test_a_longer_run_begins_the_same(stored, tmp_path):
    """What happens in the first days does not depend on how long the run goes on."""
    longer = simulate(fleet(tmp_path, FLEET, "days=4"), tmp_path / "out", jobs=2).folder
    for path in sorted((stored / "readings").rglob("*.parquet")):
        check_same(
            plain(pq.ParquetFile(longer / path.relative_to(stored)).read()),
            plain(pq.ParquetFile(path).read()),
            path.name,
        )


def test_another_seed_is_another_dataset(resolved, stored, tmp_path):
    other = fleet(tmp_path, FLEET, "seed=4")
    assert fleet_hash(other) != fleet_hash(resolved)
    made = table(simulate(other, tmp_path / "out", jobs=2).folder, "readings")
    power = table(stored, "readings")["power_kw"].to_numpy()
    n = min(len(power), len(made))
    assert np.mean(made["power_kw"].to_numpy()[:n] == power[:n]) < 0.2


def test_what_shapes_no_byte_is_in_no_hash(resolved, stored):
    """The manifest names no time, no path and no host, so equal datasets have equal manifests."""
    text = (stored / "manifest.json").read_text(encoding="utf-8")
    assert str(stored) not in text
    assert platform.node() not in text or len(platform.node()) < 4
    manifest = json.loads(text)
    assert manifest["config_hash"] == fleet_hash(resolved)
    assert set(contents(stored)) - {f["path"] for f in manifest["files"]} - {"manifest.json"} == {
        name for name, kind in contents(stored).items() if kind == "folder"
    }


def test_a_second_call_does_nothing(resolved, stored):
    before = {p: p.stat().st_mtime_ns for p in stored.rglob("*")}
    again = simulate(resolved, stored, jobs=1, progress=no_progress)
    assert again.was_there
    assert {p: p.stat().st_mtime_ns for p in stored.rglob("*")} == before


def test_outline_tells_what_will_be_written(resolved, stored):
    told = outline(resolved, stored)
    assert told["machines"] == 40
    assert told["blocks"] * told["periods"] == len(list((stored / "readings").rglob("*.parquet")))
    assert table(stored, "readings").num_rows <= told["readings"]


def test_write_block_stops_when_told(resolved, tmp_path):
    from threading import Event

    from nexova_sim.dataset.stage import Stage

    stop = Event()
    stage = Stage(tmp_path / "out", tmp_path, frozenset())
    entries = write_block(stage, plan_fleet(resolved), 0, stop, stop.set)
    assert entries == []
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


@pytest.mark.parametrize(
    "settings",
    [
        ["start=2026-03-01T00:30:00Z", "days=1"],
        ["start=2026-03-01T23:30:00Z", "days=0.1"],
        ["days=0.003472222222222222"],
        ["start=2026-02-28T23:55:00Z", "days=1.0035", "output.partition=month"],
        ["dt_s=3600", "load_interval_s=3600"],
        ["dt_s=1", "load_interval_s=1", "truth_interval_s=60", "days=0.01"],
        ["truth_interval_s=86400", "days=1.5"],
    ],
    ids=" ".join,
)
def test_odd_spans(tmp_path, settings):
    """Periods and samples that do not fall together: every reading and every sample is written once."""
    odd = fleet(tmp_path, FLEET, *settings, "faults.random=false")
    done = simulate(odd, tmp_path / "out", jobs=2)
    n_slots, machines = odd.fleet.n_slots, 40
    assert done.manifest.rows["readings"] == machines * n_slots * odd.fleet.slot_s // odd.fleet.dt_s
    samples = -(-n_slots * odd.fleet.slot_s // odd.fleet.truth_interval_s)
    assert done.manifest.rows["truth"] == machines * samples
    truth = table(done.folder, "truth")
    pairs = set(zip(truth["machine_id"].to_pylist(), truth["timestamp"].cast(pa.int64()).to_pylist(), strict=True))
    assert len(pairs) == machines * samples
