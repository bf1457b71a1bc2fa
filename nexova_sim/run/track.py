"""``nexova twin track``: the hidden state of every machine of a dataset, from its readings alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import yaml

from nexova_sim.base.errors import ConfigError, DataError
from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.track import TrackConfig
from nexova_sim.dataset.read import Dataset, open_dataset, parse_time
from nexova_sim.dataset.stage import Stage, is_same, staged, write_durably
from nexova_sim.dataset.write import batch_writer, file_entry
from nexova_sim.kernels.particles import N_PARTICLE
from nexova_sim.prognose.hours import HOUR_MS, Hours, make_hours
from nexova_sim.prognose.present import present
from nexova_sim.prognose.track import Plate, Tracked, kept_hours, track_fleet, untold
from nexova_sim.run.plates import read_plates
from nexova_sim.schema.channels import PUBLIC_TABLES
from nexova_sim.schema.manifest import MANIFEST_NAME
from nexova_sim.schema.tables import id_array, number_array, time_array
from nexova_sim.schema.track import PARTICLES_NAME, STATE, STATE_NAME, SUMMARY_NAME, TRACK_FORMAT, state_schema

Progress = Callable[[int, int], None]
ROOMS = ("base", "config", "kernels", "schema", "dataset", "prognose", "run")
_ROW_GROUP = 131_072
_MOST_BYTES = 2**30


class TrackResult(NamedTuple):
    """What tracking left: its folder and the content of summary.json."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    was_there: bool


class Cloud(NamedTuple):
    """Clouds of equal-weight particles of m machines at k times.

    ``time_ms`` (k,) int64 since 1970, UTC; ``particles`` (k, m, n, N_PARTICLE), columns Q_* of ``kernels.particles``.
    """

    machine_ids: tuple[str, ...]
    time_ms: np.ndarray
    particles: np.ndarray


def seen_hash(dataset: Dataset) -> list[list[str]]:
    """Paths and hashes of the files a plant would have; truth and labels do not count."""
    return [[f.path, f.sha256] for f in dataset.manifest.files if f.table in PUBLIC_TABLES]


def _identity(dataset: Dataset, config: TrackConfig, plates: Sequence[Plate], is_part: bool) -> tuple[str, str]:
    kinds = {p.kind.kind: p.kind.model_dump(mode="json") for p in plates}
    part = [p.machine_id for p in plates] if is_part else None
    return hash_value([config.model_dump(mode="json"), seen_hash(dataset), kinds, part]), code_hash(*ROOMS)


def default_folder(dataset: Dataset, ident: str, results: Path = Path("results")) -> Path:
    """Where a run goes when no ``--out`` is given: results/track/<dataset>/<run id>."""
    return results / "track" / dataset.manifest.name / ident


def outline(source: str | Path, config: TrackConfig, out: Path | None = None,
            machines: Sequence[str] | None = None) -> dict[str, Any]:  # fmt: skip
    """What tracking would do, without doing it; unknown machines and kinds are found."""
    dataset = open_dataset(source)
    plates = read_plates(dataset, config.kind_folder, machines)
    ident = run_id(*_identity(dataset, config, plates, machines is not None))
    return {
        "folder": str(out or default_folder(dataset, ident)),
        "machines": len(plates),
        "readings": dataset.manifest.rows.get("readings", 0),
        "method": config.method,
        "n_particles": config.n_particles,
    }


def track(source: str | Path, config: TrackConfig, out: Path | None = None, machines: Sequence[str] | None = None,
          overwrite: bool = False, progress: Progress = lambda _done, _total: None) -> TrackResult:  # fmt: skip
    """Follow every machine, or ``machines``; writes state.parquet, particles.npz, summary.json into one folder.

    Same readings and settings give the same bytes, whatever truth and labels say; a run that is there is read. Raises
    DataError for an unknown machine or kind, and when no machine has readings that tell something.
    """
    dataset = open_dataset(source)
    plates = read_plates(dataset, config.kind_folder, machines)
    config_hash, code = _identity(dataset, config, plates, machines is not None)
    ident = run_id(config_hash, code)
    folder = out or default_folder(dataset, ident)
    if not overwrite and is_same(folder, config_hash, code):
        return TrackResult(folder, ident, read_summary(folder), True)
    _check_size(dataset, config, len(plates))
    hours = make_hours(dataset, {p.machine_id: p.kind for p in plates}, config.ambient_c, machines)
    usable, skipped = sort_out(hours, plates, machines is not None)
    kept = kept_hours(hours.given.shape[1], config.keep_every_h)
    clouds = np.empty((len(kept), len(usable), config.n_particles, N_PARTICLE))
    rows = []
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        with batch_writer(stage.folder / STATE_NAME, state_schema(), _ROW_GROUP) as write:
            for number, found in enumerate(track_fleet(hours, usable, config, progress)):
                write(_state_batch(found, number, usable, hours.start_ms))
                clouds[:, number] = found.clouds
                rows.append(_summary_row(found, usable[number]))
        times = hours.start_ms + kept * HOUR_MS
        _write_clouds(stage, Cloud(tuple(p.machine_id for p in usable), times, clouds))
        summary = _summarise(dataset, config, hours, rows, skipped)
        _finish(stage, config, summary, (config_hash, code))
    return TrackResult(folder, ident, summary, False)


def _check_size(dataset: Dataset, config: TrackConfig, n_machines: int) -> None:
    """ConfigError when the clouds to keep would not fit in memory."""
    span_ms = parse_time(dataset.manifest.end, "end") - parse_time(dataset.manifest.start, "start")
    n_kept = len(kept_hours(max(1, -(-span_ms // HOUR_MS)), config.keep_every_h))
    size = 8 * n_kept * n_machines * config.n_particles * N_PARTICLE
    if size > _MOST_BYTES:
        raise ConfigError(
            f"{n_kept} clouds of {n_machines} machines with {config.n_particles} particles would take "
            f"{size / 2**30:.1f} GiB, at most {_MOST_BYTES / 2**30:g} are allowed; raise keep_every_h, lower "
            "n_particles, or follow fewer machines with --machine"
        )


def sort_out(hours: Hours, plates: Sequence[Plate], is_strict: bool) -> tuple[list[Plate], list[dict[str, str]]]:
    """Machines whose readings tell something, and the others with the reason.

    DataError when none is left, or with ``is_strict`` when one is not usable.
    """
    place = {name: n for n, name in enumerate(hours.machine_ids)}
    reasons = {p.machine_id: untold(hours.given[place[p.machine_id]]) for p in plates}
    skipped = [{"machine_id": name, "reason": reason} for name, reason in reasons.items() if reason is not None]
    usable = [p for p in plates if reasons[p.machine_id] is None]
    if skipped and (is_strict or not usable):
        first = skipped[0]
        raise DataError(f"machine {first['machine_id']}: too few readings to follow it: {first['reason']}")
    if not usable:
        raise DataError("the dataset has no machines, so there is nothing to follow")
    return usable, skipped


def _state_batch(found: Tracked, number: int, plates: Sequence[Plate], start_ms: int) -> pa.RecordBatch:
    n = len(found.rows)
    columns = [
        id_array(np.full(n, number), [p.machine_id for p in plates]),
        time_array(start_ms + HOUR_MS * np.arange(n)),
        *(number_array(found.rows[:, c], pa.float64()) for c in range(len(STATE))),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=state_schema())


def _summary_row(found: Tracked, plate: Plate) -> dict[str, Any]:
    last = dict(zip((c.name for c in STATE), found.rows[-1].tolist(), strict=True))
    row: dict[str, Any] = {"machine_id": plate.machine_id, "kind": plate.kind.kind}
    row |= {name: round(value, 6) for name, value in last.items()}
    row |= present(found.clouds[-1], plate.kind)
    row["least_effective_samples"] = round(float(found.rows[:, len(STATE) - 4].min()), 1)
    return row


def _summarise(dataset: Dataset, config: TrackConfig, hours: Hours, rows: list[dict[str, Any]],
               skipped: list[dict[str, str]]) -> dict[str, Any]:  # fmt: skip
    return {
        "dataset": dataset.manifest.name,
        "start": dataset.manifest.start,
        "end": dataset.manifest.end,
        "hours": int(hours.given.shape[1]),
        "n_machines": len(rows),
        "n_particles": config.n_particles,
        "mean_effective_samples": round(float(np.mean([r["effective_samples"] for r in rows])), 1),
        "machines": sorted(rows, key=lambda r: (r["health_mean"], r["machine_id"])),
        "skipped": skipped,
    }


def _write_clouds(stage: Stage, cloud: Cloud) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, machine_ids=np.array(cloud.machine_ids), time_ms=cloud.time_ms, particles=cloud.particles)
    write_durably(stage.folder / PARTICLES_NAME, buffer.getvalue())


def _finish(stage: Stage, config: TrackConfig, summary: dict[str, Any], hashes: tuple[str, str]) -> None:
    text = json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_durably(stage.folder / SUMMARY_NAME, text.encode())
    write_durably(stage.folder / "config.resolved.yaml",
                  yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False).encode())  # fmt: skip
    names = (STATE_NAME, PARTICLES_NAME, SUMMARY_NAME, "config.resolved.yaml")
    files = [file_entry(stage, name, 0 if name != STATE_NAME else None).model_dump() for name in names]
    manifest = {"format": TRACK_FORMAT, "config_hash": hashes[0], "code_hash": hashes[1], "files": files}
    write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())


def read_summary(folder: Path) -> dict[str, Any]:
    """summary.json of a folder that ``track`` wrote; DataError when it is damaged."""
    try:
        found = json.loads((folder / SUMMARY_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: holds no tracked state ({error}); write it with 'nexova twin track'") from error
    if not isinstance(found, dict) or "machines" not in found:
        raise DataError(f"{folder}: {SUMMARY_NAME} is not ours; write it again with 'nexova twin track'")
    return found


def read_clouds(folder: str | Path) -> Cloud:
    """The clouds that ``track`` left in ``folder``; DataError when there are none or they are damaged."""
    path = Path(folder) / PARTICLES_NAME
    try:
        with np.load(path, allow_pickle=False) as data:
            cloud = Cloud(tuple(str(m) for m in data["machine_ids"]), data["time_ms"], data["particles"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}); write it again with 'nexova twin track'") from error
    shape = cloud.particles.shape
    if len(shape) != 4 or shape[:2] != (len(cloud.time_ms), len(cloud.machine_ids)) or shape[3] != N_PARTICLE:
        raise DataError(f"{path}: clouds of shape {shape} are not ours; write it again with 'nexova twin track'")
    return cloud
