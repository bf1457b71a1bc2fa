"""The import order of the rooms, the bans on top of it, heavy libraries in their rooms, no cycles."""

from __future__ import annotations

import ast
import sys

import pytest
from house import ROOMS, files, house_targets, imports, module, read_imports, room

BANS = {
    "dataset": {"simulate"},
    "alert": {"simulate"},
    "analyse": {"simulate"},
    "forecast": {"simulate"},
    "prognose": {"simulate"},
    "detect": {"simulate"},
    "approve": {"simulate"},
    "decide": {"simulate", "schedule", "analyse", "forecast", "prognose", "detect"},
}
ONLY = {"cli": {"run", "config", "base", "cli"}, "kernels": {"kernels"}, "base": {"base"}}
HEAVY = {
    "numba": {"kernels"}, "llvmlite": {"kernels"}, "typer": {"cli"}, "click": {"cli"}, "tqdm": {"cli"},
    "sklearn": {"forecast", "prognose", "detect"}, "prophet": {"forecast"},
    "joblib": {"forecast", "prognose", "schedule", "detect"}, "gymnasium": {"schedule"},
    "stable_baselines3": {"schedule"}, "torch": {"schedule"}, "highspy": {"schedule"}, "cma": {"schedule"},
    "google": {"decide"}, "vertexai": {"decide"}, "sqlalchemy": {"approve"}, "jwt": {"approve"},
    "matplotlib": {"report"}, "jinja2": {"report"}, "duckdb": {"dataset"}, "dask": {"run"}, "distributed": {"run"},
}  # fmt: skip
LIGHT = {*sys.stdlib_module_names, "typer"}
EVERYWHERE = {"__future__", "typing", "collections.abc"}
KNOWN = frozenset(module(p) for p in files())


def wrong_arrow(source: str, target: str) -> str | None:
    """Why the module ``source`` may not import the module ``target`` of the house; None when it may."""
    mine, other = room(source), room(target)
    if mine is None or other is None or mine not in ROOMS:
        return None
    if other not in ROOMS:
        return f"{other} is no room of the house"
    if ROOMS.index(other) > ROOMS.index(mine):
        return f"{other} stands below {mine}"
    if other in BANS.get(mine, set()):
        return f"{mine} never imports {other}"
    if mine in ONLY and other not in ONLY[mine]:
        return f"{mine} imports only {', '.join(sorted(ONLY[mine]))}"
    return None


def cycle(arrows: dict[str, set[str]]) -> list[str]:
    """One import cycle of a graph, or nothing."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for following in sorted(arrows.get(name, ())):
            found = visit(following, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    for start in sorted(arrows):
        found = visit(start, [])
        if found:
            return found
    return []


def test_every_file_stands_in_a_room():
    outside = [module(p) for p in files() if room(module(p)) not in ROOMS]
    assert outside == ["nexova_sim", "nexova_sim.__main__"]


def test_rooms_import_only_rooms_above_them():
    wrong = []
    for item in imports():
        for target in house_targets(item, KNOWN):
            why = wrong_arrow(item.source, target)
            if why:
                wrong.append(f"{item.place} imports {target}: {why}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "text", "why"),
    [
        ("nexova_sim.dataset.read", "from nexova_sim.simulate import plan", "never imports simulate"),
        ("nexova_sim.dataset.read", "def f():\n    from nexova_sim.run.simulate import simulate", "stands below"),
        ("nexova_sim.decide.policy", "import nexova_sim.schedule.env", "never imports schedule"),
        ("nexova_sim.cli.data", "from nexova_sim.dataset.read import open_dataset", "imports only"),
        ("nexova_sim.cli.data", "from ..dataset import read", "imports only"),
        (
            "nexova_sim.base.log",
            "from importlib import import_module\nimport_module('nexova_sim.config.load')",
            "stands below",
        ),
        ("nexova_sim.schema.tables", "from nexova_sim.helpers import x", "no room"),
    ],
)
def test_a_wrong_arrow_is_seen(source, text, why):
    reasons = [wrong_arrow(source, t) for i in read_imports(ast.parse(text), source) for t in house_targets(i, KNOWN)]
    assert any(why in reason for reason in reasons if reason)


def test_heavy_libraries_stay_in_their_rooms():
    wrong = []
    for item in imports():
        top = item.target.split(".")[0]
        if top in HEAVY and room(item.source) not in HEAVY[top]:
            wrong.append(f"{item.place} imports {item.target}: only in {', '.join(sorted(HEAVY[top]))}")
    assert not wrong, "\n".join(wrong)


def test_kernels_could_be_lifted_out():
    wrong = []
    for item in imports():
        if room(item.source) != "kernels" or room(item.target) == "kernels":
            continue
        top = item.target.split(".")[0]
        standard = top in sys.stdlib_module_names and item.source == "nexova_sim.kernels._jit"
        if not (item.target in EVERYWHERE or top in {"numba", "numpy", "math"} or standard):
            wrong.append(f"{item.place} imports {item.target}")
    assert not wrong, "\n".join(wrong)


def test_cli_imports_its_work_lazily():
    wrong = [
        f"{i.place} imports {i.target} at module level"
        for i in imports()
        if room(i.source) == "cli" and not (i.is_lazy or i.for_types)
        and not (room(i.target) in {"cli", "base"} or i.target.split(".")[0] in LIGHT or i.target == "nexova_sim")
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)
    lazy = {i.target.split(".")[1] for i in imports() if room(i.source) == "cli" and i.is_lazy and room(i.target)}
    assert "run" in lazy


def test_only_the_version_comes_from_the_package_root():
    wrong = [
        f"{i.place}: from nexova_sim import {', '.join(i.names)}"
        for i in imports()
        if i.target == "nexova_sim" and not all(n == "__version__" or n in ROOMS for n in i.names)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_cycle():
    arrows: dict[str, set[str]] = {}
    for item in imports():
        if item.source != "nexova_sim":
            targets = {t for t in house_targets(item, KNOWN) if t != "nexova_sim"}
            arrows.setdefault(item.source, set()).update(targets - {item.source})
    assert len(arrows) > 20
    assert cycle(arrows) == []


def test_a_cycle_is_seen():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_package_files_hold_no_code():
    """``__init__.py`` of a room: a docstring and at most re-exports."""
    wrong = []
    for path in files():
        if path.name == "__init__.py" and room(module(path)):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            extra = [
                n
                for n in body[1:]
                if not isinstance(n, ast.Import | ast.ImportFrom) and "__all__" not in ast.unparse(n)
            ]
            if ast.get_docstring(ast.Module(body, [])) is None or extra:
                wrong.append(module(path))
    assert not wrong
