"""The notebooks, run as they are in an empty folder, warnings as errors; none carries outputs or private imports."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def sources(path: Path, kind: str) -> list[str]:
    return [cell.source for cell in read(path).cells if cell.cell_type == kind]


def test_all_are_there():
    stories = ["1_first_plant", "2_what_if", "3_anomalies", "4_forecast", "5_energy", "6_decisions"]
    assert [path.stem for path in NOTEBOOKS] == stories


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_short_and_public(path: Path):
    code = "\n".join(sources(path, "code"))
    assert "import nexova_sim as nx" in code
    assert not re.search(r"nexova_sim\.|from nexova_sim", code)
    assert len(code.splitlines()) <= 80
    assert sources(path, "markdown")[0].startswith("# ")
    for cell in read(path).cells:
        assert cell.cell_type != "code" or (not cell.outputs and cell.execution_count is None)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    book = read(path)
    client = NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env={**os.environ, "PYTHONWARNINGS": "default"})
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    told = [out.text for out in outputs if out.output_type == "stream" and out.name == "stderr"]
    assert not told, told
    keep = os.environ.get("NEXOVA_KEEP_NOTEBOOKS")
    if keep:
        nbformat.write(book, Path(keep) / path.name)
