"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project folder."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A simulated dataset of 8 machines and 2 days. Read-only: copy it before changing anything."""
    from nexova_sim.config.load import load_fleet
    from nexova_sim.run.simulate import simulate

    folder = tmp_path_factory.mktemp("tiny") / "dataset"
    simulate(load_fleet(ROOT / "configs/fleet/tiny.yaml"), folder, jobs=1)
    yield folder
