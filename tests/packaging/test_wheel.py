"""The wheel builds, holds what it should, and works from an empty folder in a new environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def run(words: list[str | Path], folder: Path, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(list(map(str, words)), cwd=folder, capture_output=True, text=True, check=False,
                          env=kept | environment)  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory, root) -> Path:
    """A folder with the wheel and the source archive."""
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, root], out)
    return out


def test_the_wheel_holds_code_and_configurations_and_nothing_else(built, root):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    configs = {n.removeprefix("nexova_sim/_configs/") for n in names if n.startswith("nexova_sim/_configs/")}
    assert configs == {p.relative_to(root / "configs").as_posix() for p in (root / "configs").rglob("*") if p.is_file()}
    assert all(n.startswith(("nexova_sim/", "nexova_sim-")) for n in names)
    assert not [n for n in names if "__pycache__" in n or n.startswith("tests")]
    assert any(n.endswith("licenses/LICENSE") for n in names) and any(n.endswith("entry_points.txt") for n in names)
    assert wheel.stat().st_size < 3_000_000


def test_the_source_archive_can_be_built_and_tested_from(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {n.partition("/")[2] for n in opened.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "tests/conftest.py",
            "configs/fleet/tiny.yaml", "docs/cli.md", "Dockerfile", "nexova_sim/cli/app.py"} <= names  # fmt: skip
    assert not [n for n in names if "__pycache__" in n or n.startswith((".venv", "results/tiny", "dist"))]


def test_it_works_in_a_new_environment_from_an_empty_folder(built, tmp_path):
    """Installed without its dependencies, which are borrowed from this environment: nothing is downloaded."""
    home, folder = tmp_path / "env", tmp_path / "empty"
    folder.mkdir()
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    inside = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "--no-deps",
         "--no-index", "--quiet", wheel], folder)  # fmt: skip
    # After the environment's own packages on the path, so that only what the wheel lacks is borrowed.
    (inside / "zz_borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run([python, "-c", "import nexova_sim; print(nexova_sim.__file__)"], folder).strip()
    assert where.startswith(str(inside))
    nexova = home / "bin" / "nexova"
    assert run([nexova, "--version"], folder)
    told = run([nexova, "simulate", "--config", "configs/fleet/tiny.yaml", "--out", "data", "--json"], folder)
    assert json.loads(told)["data"]["folder"] == "data"
    assert json.loads(run([nexova, "data", "verify", "data", "--json"], folder))["status"] == "success"
    rows = json.loads(run([nexova, "doctor", "--json"], folder))["data"]
    assert {row["state"] for row in rows} <= {"ok", "absent"} and "equal bytes" in rows[-1]["value"]
    assert sorted(p.name for p in folder.iterdir()) == ["data"]
