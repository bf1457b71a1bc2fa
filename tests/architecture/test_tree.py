"""The tree around the code: nothing machine-specific, nothing huge, every public function tested."""

from __future__ import annotations

import ast
import re

import pytest
from house import ROOT, Function, all_functions, files, module, room, short, tracked, tree

MAX_FILE_BYTES = 1_000_000
TEXT = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".txt",
    ".cfg",
    ".ini",
    ".sh",
    ".json",
    ".csv",
    ".ipynb",
    ".html",
    ".j2",
    "",
}
# Pieces, so that this file does not itself hold what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|Users|home/[a-z]\w*|mnt/data|private/var)/")
REGISTRY = re.compile(
    r"\b(?:py" r"pi|npm" r"js|python" r"hosted|ana" r"conda|ruby" r"gems|docker|ghcr|quay)\.(?:org|com|io)\b"
    r"|--?(?:extra-)?index-" r"url"
)  # fmt: skip
CHECKS = re.compile(r"^(?:assert|check|expect|same|verify|require|must)(?:_|$)")


def texts():
    for path in tracked():
        if path.suffix in TEXT and path.stat().st_size <= MAX_FILE_BYTES:
            yield path, path.read_text(encoding="utf-8", errors="replace")


def hits(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{short(path)}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_path_of_one_machine():
    assert not hits(MACHINE_PATH)


def test_no_registry_host():
    assert not hits(REGISTRY)


@pytest.mark.parametrize(("pattern", "line"), [
    (MACHINE_PATH, 'open("/' + 'work/x")'), (MACHINE_PATH, "see /" + "home/ann/data"), (REGISTRY, "//py" + "pi.org/a"),
    (REGISTRY, "pip install --index-" + "url x"),
])  # fmt: skip
def test_what_is_looked_for_would_be_found(pattern, line):
    assert pattern.search(line)


def test_no_large_file():
    assert not {short(p): p.stat().st_size for p in tracked() if p.stat().st_size > MAX_FILE_BYTES}


def test_no_caches_or_results_are_tracked():
    stray = re.compile(r"(?:^|/)(?:__pycache__|\.venv|\.hypothesis|build|dist)/|\.(?:pyc|lock|tmp)$|\.partial(?:/|$)")
    names = [short(p) for p in tracked()]
    assert not [
        n for n in names if stray.search(n) or (n.startswith("results/") and not n.startswith("results/reference/"))
    ]


def test_test_files_have_unique_names():
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_every_public_function_is_named_in_a_test():
    words: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        if path.parent.name != "architecture":
            words.update(re.findall(r"[A-Za-z_]\w*", path.read_text(encoding="utf-8")))
    missing = []
    for path, name, node, owner in all_functions():
        hidden = any(part.startswith("_") for part in name.split("."))
        if not hidden and owner is None and node.name not in words and room(module(path)) != "cli":
            missing.append(f"{short(path)}:{node.lineno} {name}")
    assert not missing, f"{len(missing)} public functions are named in no test:\n" + "\n".join(missing)


def test_every_command_is_run_by_a_test():
    """Functions of the command line are named by their verb, which the tests call as text."""
    words = {w for p in (ROOT / "tests").rglob("*.py") for w in re.findall(r"[\w-]+", p.read_text(encoding="utf-8"))}
    missing = []
    for path in files():
        if room(module(path)) == "cli":
            for node in tree(path).body:
                if isinstance(node, Function) and not node.name.startswith("_"):
                    spelled = {node.name, node.name.replace("_", "-"), node.name.rsplit("_", 1)[-1]}
                    if not spelled & words:
                        missing.append(f"{short(path)}:{node.lineno} {node.name}")
    assert not missing, "\n".join(missing)


def asserting(node: ast.AST) -> bool:
    """True when something below ``node`` can fail on purpose."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assert | ast.Raise):
            return True
        if isinstance(inner, ast.Call):
            name = ast.unparse(inner.func)
            if name in {"pytest.raises", "pytest.warns", "pytest.fail"} or name.startswith("np.testing."):
                return True
            if CHECKS.match(name.rsplit(".", 1)[-1]):
                return True
    return False


def test_every_test_can_fail():
    blind = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        syntax = ast.parse(path.read_text(encoding="utf-8"))
        local = {
            n.name
            for n in ast.walk(syntax)
            if isinstance(n, Function) and not n.name.startswith("test_") and asserting(n)
        }
        for node in ast.walk(syntax):
            if isinstance(node, Function) and node.name.startswith("test_") and not asserting(node):
                called = {ast.unparse(c.func).rsplit(".", 1)[-1] for c in ast.walk(node) if isinstance(c, ast.Call)}
                if not called & local:
                    blind.append(f"{short(path)}:{node.lineno} {node.name}")
    assert not blind, "\n".join(blind)


def test_nothing_is_marked_as_expected_to_fail():
    marks = re.compile(r"pytest\.(?:mark\.)?x" r"fail|unittest\.expected" r"Failure")
    assert not hits(marks)


def test_types_are_rarely_switched_off():
    """Every ``type: ignore`` names its error, so that it hides nothing else."""
    bare = [f"{short(p)}:{n}" for p in files() for n, line in enumerate(p.read_text(encoding="utf-8").splitlines(), 1)
            if re.search(r"#\s*type:\s*ignore(?!\[)", line) or re.search(r"#\s*noqa(?!:)", line)]  # fmt: skip
    assert not bare
