"""Every command and the Python of README and docs/, run as a reader would, each page in an empty folder."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nexova_sim.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "cli.md")]
N_HOURS = 576


def export() -> str:
    """Hourly readings of two machines for 24 days: two shifts a day, no faults."""
    lines = ["timestamp,machine,power_kw,temperature_c,vibration_mm_s"]
    for hour in range(N_HOURS):
        for m in (1, 2):
            power = (10.0 + m if 6 <= hour % 24 < 22 else 1.0) + math.sin(hour * m)
            rest = f"{power:.2f},{20 + 3 * power:.1f},{0.5 + 0.1 * power + 0.05 * math.cos(3 * hour):.2f}"
            lines.append(f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z,p{m},{rest}")
    return "\n".join(lines) + "\n"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def commands(text: str) -> list[list[str]]:
    lines = [line.split("  #")[0].strip() for block in blocks(text, "sh") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("nexova ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export.csv").write_text(export())
    for block in blocks(text, "yaml"):
        (tmp_path / re.match(r"# (\w+\.yaml)\n", block)[1]).write_text(block)
    assert commands(text) or page.stem == "measured"
    for words in commands(text):
        assert run(words) == 0, f"{shlex.join(words)}\n{capsys.readouterr().err[-2000:]}"
    if page.stem == "recipes":
        first, second = (tmp_path / "results" / name / "manifest.json" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    for code in blocks(text, "python"):
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_recipes_have_commands():
    recipes = re.split(r"^## ", (ROOT / "docs/recipes.md").read_text(encoding="utf-8"), flags=re.M)[1:]
    assert len(recipes) >= 15 and all(commands(recipe) for recipe in recipes)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path):
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
