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


def tables_of(readme: str) -> dict[str, str]:
    """Mark (empty for the only or first table) -> the table as it stands."""
    found = re.findall(r"<!-- table ?(\w*) -->\n(.*?)<!-- end of table -->", readme, flags=re.S)
    assert found
    assert len(dict(found)) == len(found)
    return dict(found)


def reference_of(study: Path, mark: str) -> Path:
    return ROOT / "results" / "reference" / (f"{study.name}_{mark}.csv" if mark else f"{study.name}.csv")


def test_studies_are_there():
    index = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\| \[\d+\]\(([^)]+)/README\.md\) \|", index) == NAMES
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
def test_tables_of_the_readme_are_the_reference(study: Path, tmp_path: Path):
    readme = (study / "README.md").read_text(encoding="utf-8")
    tables = tables_of(readme)
    of_study = set((ROOT / "results" / "reference").glob(f"{study.name}*.csv"))
    assert of_study == {reference_of(study, mark) for mark in tables}
    for mark, table in tables.items():
        marked = ["--mark", mark] if mark else []
        words = [sys.executable, "experiments/table.py", str(reference_of(study, mark))]
        assert run([*words, str(study / "README.md"), *marked, "--check"]).returncode == 0
        changed = tmp_path / "README.md"
        changed.write_text(readme.replace(table, table.replace("|", "| 1", 1)), encoding="utf-8")
        assert run([*words, str(changed), *marked, "--check"]).returncode == 1
        assert run([*words, str(changed), *marked]).returncode == 0
        assert changed.read_text(encoding="utf-8") == readme


def test_a_readme_without_the_marks_is_refused(tmp_path: Path):
    plain, table = tmp_path / "README.md", tmp_path / "table.csv"
    plain.write_text("# No table\n", encoding="utf-8")
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    done = run([sys.executable, "experiments/table.py", str(table), str(plain)])
    assert done.returncode == 2
    assert "has no <!-- table -->" in done.stderr
    assert plain.read_text(encoding="utf-8") == "# No table\n"


@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_names_of_files_in_run_sh_exist(study: Path):
    script = (study / "run.sh").read_text(encoding="utf-8").replace("$HERE", f"experiments/{study.name}")
    # A word may hold several lines: the value of a --set.
    words = shlex.split(script, comments=True)
    named = {word for word in words if re.fullmatch(r"(experiments|configs)/[\w./]+\.(yaml|py)", word)}
    assert named
    for name in named:
        assert (ROOT / name).is_file(), name


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=NAMES)
def test_study_runs_small(study: Path, tmp_path: Path):
    before = {path: path.stat().st_mtime_ns for path in (study, ROOT / "results/reference") for path in path.iterdir()}
    done = run(["sh", str(study / "run.sh"), "small", str(tmp_path / "runs")])
    assert done.returncode == 0, done.stderr
    for mark in tables_of((study / "README.md").read_text(encoding="utf-8")):
        made = tmp_path / "runs/out" / (f"table_{mark}.csv" if mark else "table.csv")
        lines = made.read_text(encoding="utf-8").splitlines()
        wanted = reference_of(study, mark).read_text(encoding="utf-8").splitlines()
        assert len(lines) >= 2
        assert set(lines[0].split(",")) == set(wanted[0].split(","))
    assert (tmp_path / "runs/out/figure.png").read_bytes().startswith(b"\x89PNG")
    assert before == {path: path.stat().st_mtime_ns for path in before}
    shutil.rmtree(tmp_path / "runs")
