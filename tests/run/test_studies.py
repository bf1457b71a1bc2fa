"""The studies in experiments/: question, prediction, commands and finding; and every run.sh in a small size."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted(path for path in (ROOT / "experiments").iterdir() if (path / "run.sh").is_file())
NAMES = [path.name for path in STUDIES]


def run(words: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """Run ``words`` in the project's folder with this Python's commands first on the path."""
    bin_folder = str(Path(sys.executable).parent)
    path = {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "MPLBACKEND": "Agg"}
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | path | env)


def table_of(readme: str) -> str:
    found = re.search(r"<!-- table -->\n(.*?)<!-- end of table -->", readme, flags=re.S)
    assert found
    return found[1]


def test_studies_are_there():
    assert NAMES
    assert len({name[:3] for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_readme_tells_the_study(study: Path):
    readme = (study / "README.md").read_text(encoding="utf-8")
    for word in ("**Question.**", "**Method.**", "**Prediction**", "**Finding", f"sh experiments/{study.name}/run.sh"):
        assert word in readme
    assert "FINDING" not in readme
    figures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", readme)
    assert figures
    assert all(0 < (study / name).stat().st_size < 200_000 for name in figures)


@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_table_of_the_readme_is_the_reference(study: Path, tmp_path: Path):
    reference = ROOT / "results" / "reference" / f"{study.name}.csv"
    check = [sys.executable, "experiments/table.py", str(reference), str(study / "README.md"), "--check"]
    assert run(check).returncode == 0
    readme = (study / "README.md").read_text(encoding="utf-8")
    changed = tmp_path / "README.md"
    changed.write_text(readme.replace(table_of(readme), table_of(readme).replace("|", "| 1", 1)), encoding="utf-8")
    assert run([*check[:3], str(changed), "--check"]).returncode == 1
    assert run([*check[:3], str(changed)]).returncode == 0
    assert changed.read_text(encoding="utf-8") == readme


@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_names_of_files_in_run_sh_exist(study: Path):
    script = (study / "run.sh").read_text(encoding="utf-8").replace("$HERE", f"experiments/{study.name}")
    named = {word for line in script.splitlines() for word in shlex.split(line, comments=True)
             if re.fullmatch(r"(experiments|configs)/[\w./]+\.(yaml|py)", word)}  # fmt: skip
    assert named
    for name in named:
        assert (ROOT / name).is_file(), name


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_study_runs_small(study: Path, tmp_path: Path):
    before = {path: path.stat().st_mtime_ns for path in (study, ROOT / "results/reference") for path in path.iterdir()}
    done = run(["sh", str(study / "run.sh"), "small", str(tmp_path / "runs")])
    assert done.returncode == 0, done.stderr
    made = (tmp_path / "runs/out/table.csv").read_text(encoding="utf-8").splitlines()
    wanted = (ROOT / "results/reference" / f"{study.name}.csv").read_text(encoding="utf-8").splitlines()
    assert len(made) >= 2
    assert set(made[0].split(",")) == set(wanted[0].split(","))
    assert (tmp_path / "runs/out/figure.png").read_bytes().startswith(b"\x89PNG")
    assert before == {path: path.stat().st_mtime_ns for path in before}
    shutil.rmtree(tmp_path / "runs")
