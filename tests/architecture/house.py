"""What the architecture tests know about the house, read from the source text: files, rooms, imports, functions."""

from __future__ import annotations

import ast
import io
import subprocess
import textwrap
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "nexova_sim"
ROOMS = ("base", "kernels", "schema", "config", "simulate", "dataset", "alert", "analyse", "forecast", "prognose",
         "detect", "schedule", "approve", "decide", "report", "run", "cli")  # fmt: skip
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """One import: ``source`` module of the house, full dotted ``target``, and where it stands."""

    source: str
    target: str
    names: tuple[str, ...]
    line: int
    is_lazy: bool
    for_types: bool

    @property
    def place(self) -> str:
        return f"{self.source}:{self.line}"


@cache
def files() -> tuple[Path, ...]:
    """Every Python file of the package."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module(path: Path) -> str:
    """Dotted name of a file of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str | None:
    """Room of a dotted module name: None for the package itself and for what is outside the house."""
    parts = name.split(".")
    return parts[1] if parts[0] == "nexova_sim" and len(parts) > 1 else None


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _walk(node: ast.AST, is_lazy: bool, for_types: bool) -> Iterator[tuple[ast.AST, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        lazy = is_lazy or isinstance(child, Function)
        types = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        yield child, lazy, types
        yield from _walk(child, lazy, types)


def _dynamic(node: ast.AST) -> str | None:
    """Target of ``import_module("x")`` or ``__import__("x")`` with a literal name."""
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        name = ast.unparse(node.func).rsplit(".", 1)[-1]
        if name in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
            return node.args[0].value
    return None


def read_imports(syntax: ast.Module, source: str, is_package: bool = False) -> list[Import]:
    """Every import of a module, also lazy, dynamic and relative ones."""
    found = []
    for node, lazy, types in _walk(syntax, False, False):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            found += [Import(source, a.name, (), line, lazy, types) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = source.split(".")
                parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*parts, base] if base else parts)
            found.append(Import(source, base, tuple(a.name for a in node.names), line, lazy, types))
        elif (name := _dynamic(node)) is not None:
            found.append(Import(source, name, (), line, True, types))
    return found


@cache
def imports() -> tuple[Import, ...]:
    """Every import of the package."""
    return tuple(i for p in files() for i in read_imports(tree(p), module(p), p.name == "__init__.py"))


def house_targets(item: Import, known: frozenset[str]) -> list[str]:
    """Modules of the house that an import needs: for ``from a import b`` the module a.b when there is one, else a."""
    if not item.target.startswith("nexova_sim"):
        return []
    if not item.names:
        return [item.target]
    inner = [f"{item.target}.{n}" for n in item.names]
    return [name if name in known else item.target for name in inner]


def functions(syntax: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function, ast.ClassDef | None]]:
    """Functions of a module and methods of its classes, by dotted name; functions inside functions belong to them."""
    for node in ast.iter_child_nodes(syntax):
        if isinstance(node, Function):
            yield prefix + node.name, node, syntax if isinstance(syntax, ast.ClassDef) else None
        elif isinstance(node, ast.ClassDef):
            yield from functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.If, ast.Try)):
            yield from functions(node, prefix)


def all_functions() -> Iterator[tuple[Path, str, Function, ast.ClassDef | None]]:
    for path in files():
        for name, node, owner in functions(tree(path)):
            yield path, name, node, owner


def classes() -> Iterator[tuple[Path, ast.ClassDef]]:
    for path in files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                yield path, node


def code_lines(text: str, node: Function) -> int:
    """Lines of a function that hold code: no docstrings, no comments, no blank lines."""
    source = "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(textwrap.dedent(source)).readline):
        if token.type not in skip:
            lines.update(range(token.start[0], token.end[0] + 1))
    for inner in ast.walk(node):
        if isinstance(inner, Function | ast.ClassDef) and ast.get_docstring(inner, clean=False) is not None:
            first = inner.body[0]
            lines.difference_update(range(first.lineno - node.lineno + 1, (first.end_lineno or 0) - node.lineno + 2))
    return len(lines)


def parameters(node: Function) -> list[ast.arg]:
    """Named parameters of a function without self and cls."""
    args = node.args
    return [a for a in (*args.posonlyargs, *args.args, *args.kwonlyargs) if a.arg not in {"self", "cls"}]


@cache
def tracked() -> tuple[Path, ...]:
    """Files of the project under version control; where that cannot be asked, all files but caches and results."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
        names = [n for n in done.stdout.decode().split("\0") if n]
    except (OSError, subprocess.CalledProcessError):
        names = []
    if names:
        return tuple(p for p in (ROOT / n for n in names) if p.is_file())
    hidden = {"results", "build", "dist", "__pycache__"}
    return tuple(p for p in sorted(ROOT.rglob("*")) if p.is_file() and not any(
        part in hidden or part.startswith(".") for part in p.relative_to(ROOT).parts))  # fmt: skip
