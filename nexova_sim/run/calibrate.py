"""``nexova twin calibrate``: parameters of machines from their readings, and kinds that simulate accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from nexova_sim.base.hashing import code_hash, hash_value, run_id
from nexova_sim.config.calibrate import CalibrateConfig
from nexova_sim.dataset.read import Dataset, open_dataset
from nexova_sim.dataset.stage import is_same, staged, write_durably
from nexova_sim.dataset.write import file_entry
from nexova_sim.prognose.calibrate import Fit, calibrated_kind, fit_machine
from nexova_sim.prognose.samples import read_samples
from nexova_sim.prognose.track import Plate
from nexova_sim.run.plates import read_plates
from nexova_sim.run.records import read_result
from nexova_sim.run.track import seen_hash
from nexova_sim.schema.manifest import MANIFEST_NAME

Progress = Callable[[int, int], None]
FORMAT = "nexova-twin-calibration"
ROOMS = ("base", "config", "kernels", "schema", "dataset", "prognose", "run")
ANSWER = "calibration.json"


class CalibrateResult(NamedTuple):
    """What a calibration left: its folder and the content of calibration.json."""

    folder: Path
    run_id: str
    summary: dict[str, Any]
    was_there: bool


def kind_name(machine_id: str) -> str:
    """Name of the kind of one machine, usable as a file name: letters, digits, - and _."""
    return f"fit-{re.sub(r'[^A-Za-z0-9_-]', '-', machine_id)}"[:64]


def _identity(dataset: Dataset, plates: Sequence[Plate], config: CalibrateConfig) -> tuple[str, str]:
    kinds = [[p.machine_id, p.kind.model_dump(mode="json")] for p in plates]
    return hash_value([config.model_dump(mode="json"), seen_hash(dataset), kinds]), code_hash(*ROOMS)


def outline(source: str | Path, machines: Sequence[str], config: CalibrateConfig,
            out: Path | None = None) -> dict[str, Any]:  # fmt: skip
    """What a calibration would do, without doing it."""
    dataset = open_dataset(source)
    plates = read_plates(dataset, config.kind_folder, machines)
    ident = run_id(*_identity(dataset, plates, config))
    folder = out or Path("results") / "calibrate" / dataset.manifest.name / ident
    return {"folder": str(folder), "machines": [p.machine_id for p in plates], "kinds": [p.kind.kind for p in plates]}


def calibrate(source: str | Path, machines: Sequence[str], config: CalibrateConfig, out: Path | None = None,
              overwrite: bool = False, progress: Progress = lambda _done, _total: None) -> CalibrateResult:  # fmt: skip
    """Fit every one of ``machines``; calibration.json and one kind file per machine in ``kind/`` of a run folder.

    Raises DataError for an unknown machine, too few readings or a constant channel.
    """
    dataset = open_dataset(source)
    plates = read_plates(dataset, config.kind_folder, machines)
    config_hash, code = _identity(dataset, plates, config)
    ident = run_id(config_hash, code)
    folder = out or Path("results") / "calibrate" / dataset.manifest.name / ident
    if not overwrite and is_same(folder, config_hash, code):
        return CalibrateResult(folder, ident, read_calibration(folder), True)
    fits = []
    for number, plate in enumerate(plates):
        samples = read_samples(dataset, plate.machine_id, plate.kind, config)
        fits.append(fit_machine(samples, plate.kind, config))
        progress(number + 1, len(plates))
    summary = {
        "dataset": dataset.manifest.name,
        "machines": [_account(p, f) for p, f in zip(plates, fits, strict=True)],
    }
    with staged(folder, {"config": config_hash, "code": code}, overwrite) as stage:
        names = [ANSWER]
        write_durably(stage.folder / ANSWER, (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode())
        (stage.folder / "kind").mkdir(exist_ok=True)
        for plate, fit in zip(plates, fits, strict=True):
            name = kind_name(plate.machine_id)
            text = f"fitted to machine {plate.machine_id} of dataset {dataset.manifest.name}"
            kind = calibrated_kind(plate.kind, name, fit, text)
            raw = yaml.safe_dump(kind.model_dump(mode="json", exclude_none=True), sort_keys=False, allow_unicode=True)
            write_durably(stage.folder / "kind" / f"{name}.yaml", raw.encode())
            names.append(f"kind/{name}.yaml")
        files = [file_entry(stage, name, 0).model_dump() for name in names]
        manifest = {"format": FORMAT, "config_hash": config_hash, "code_hash": code, "files": files}
        write_durably(stage.folder / MANIFEST_NAME, (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return CalibrateResult(folder, ident, summary, False)


def _account(plate: Plate, fit: Fit) -> dict[str, Any]:
    rows = []
    for item in fit.estimates:
        row: dict[str, Any] = item._asdict()
        rows.append({k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()})
    return {
        "machine_id": plate.machine_id,
        "kind": plate.kind.kind,
        "kind_file": f"kind/{kind_name(plate.machine_id)}.yaml",
        "left_out_frac": round(fit.left_out_frac, 4),
        "temp_rmse_k": round(fit.temp_rmse_k, 4),
        "vib_rmse_mm_s": round(fit.vib_rmse_mm_s, 4),
        "parameters": rows,
    }


def read_calibration(folder: Path) -> dict[str, Any]:
    """calibration.json of a folder; DataError when it is damaged."""
    return read_result(folder, ANSWER)
