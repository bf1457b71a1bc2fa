"""What is known of the machines of a dataset from their plates: kind, rating, hour meter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nexova_sim.base.errors import DataError, suggest
from nexova_sim.config.kinds import KindConfig
from nexova_sim.config.load import find_config, load_kind
from nexova_sim.dataset.read import Dataset
from nexova_sim.prognose.track import Plate

# Columns of the machines table that go before what the kind says, and what they are called there.
_COSTS = {
    "lost_production_usd_per_h": "lost_production_usd_per_h",
    "planned_service_usd": "planned_usd",
    "planned_service_h": "planned_h",
    "failure_usd": "failure_usd",
    "failure_h": "failure_h",
}


def check_machines(dataset: Dataset, machines: Sequence[str] | None) -> None:
    """DataError when one of ``machines`` is not in the dataset."""
    known = dataset.machine_ids()
    for name in machines or ():
        if name not in known:
            raise DataError(
                f"{dataset.folder}: machine {name!r} is not one of its {len(known)} machines; {suggest(name, known)}"
            )


def read_plates(dataset: Dataset, kind_folder: str, machines: Sequence[str] | None = None) -> list[Plate]:
    """Plates of all machines, or of ``machines``, in the order of the dataset; kinds come from ``kind_folder``.

    Raises DataError for an unknown machine, and for a machine whose kind has no file.
    """
    check_machines(dataset, machines)
    folder = find_config(kind_folder)
    names = {p.stem.lower(): p.stem for p in folder.glob("*.yaml")}
    kinds: dict[str, KindConfig] = {}
    plates = []
    for row in dataset.read("machines").to_pylist():
        if machines is None or row["machine_id"] in machines:
            plates.append(_plate(row, folder, names, kinds))
    return plates


def _plate(row: dict[str, Any], folder: Path, names: dict[str, str], kinds: dict[str, KindConfig]) -> Plate:
    wanted = str(row["kind"] or "").lower()
    if wanted not in names:
        raise DataError(
            f"machine {row['machine_id']}: its kind {row['kind']!r} has no file in {folder}, so nothing is known of "
            f"its physics; {suggest(wanted, names)}"
        )
    if wanted not in kinds:
        kinds[wanted] = load_kind(names[wanted], folder)
    kind = kinds[wanted]
    own = {name: row[name] for name in ("rated_kw", "nominal_load_frac") if _is_positive(row[name])}
    if any(getattr(kind, name) != value for name, value in own.items()):
        kind = kind.model_copy(update=own)
    costs = {ours: row[theirs] for theirs, ours in _COSTS.items() if _is_positive(row[theirs])}
    if any(getattr(kind.costs, name) != value for name, value in costs.items()):
        kind = kind.model_copy(update={"costs": kind.costs.model_copy(update=costs)})
    runtime = row["runtime_start_h"]
    return Plate(row["machine_id"], kind, float(runtime) if runtime is not None and runtime >= 0.0 else None)


def _is_positive(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0.0
