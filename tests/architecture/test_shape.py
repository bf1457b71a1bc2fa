"""Sizes and habits: files, functions, parameters, classes, hints, docstrings, names."""

from __future__ import annotations

import ast
import statistics

import pytest
from house import (
    PACKAGE,
    ROOT,
    all_functions,
    classes,
    code_lines,
    files,
    functions,
    module,
    parameters,
    room,
    short,
    tree,
)

MAX_FILE_LINES = 400
MAX_CODE_LINES = 60
MAX_PARAMETERS = 8
MAX_FLAGS = 14  # of a command: its parameters are its flags, eight of which every verb shares
MAX_METHODS = 8
MAX_DEPTH = 2
LONG_BY_DESIGN = {("nexova_sim/kernels/fleet.py", "run_block")}
VALUE_BASES = {"NamedTuple", "Protocol", "BaseModel", "Enum", "StrEnum", "IntEnum", "TypedDict", "Exception"}
BARE_QUANTITIES = {"temperature", "power", "vibration", "energy", "runtime", "price", "duration", "ambient"}
FOREIGN_SUFFIXES = ("_sec", "_secs", "_seconds", "_hrs", "_mins", "_minutes", "_celsius", "_degc", "_pct", "_kilowatts",
                    "_watts", "_kwhr", "_dollars", "_fraction", "_prob", "_cnt")  # fmt: skip
BANNED_CALLS = {"print", "eval", "exec", "breakpoint", "pickle.load", "pickle.loads"}
NUMBERS = {"float", "int", "np.ndarray", "Positive", "NonNegative", "Frac"}
BANNED_WORDS = ("Manager", "Helper", "Utils", "Util", "Service", "Handler")


def is_public(path_name: str) -> bool:
    return not any(part.startswith("_") for part in path_name.split("."))


def is_generated_flag(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def test_no_file_is_too_long():
    every = (*files(), *(ROOT / "tests").rglob("*.py"))
    long = {short(p): n for p in every if (n := len(p.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES}
    assert not long


def test_file_sizes_stay_near_the_bars(record_property, capsys):
    sizes = sorted(n for p in files() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 1)
    median, p90 = statistics.median(sizes), statistics.quantiles(sizes, n=10)[-1]
    record_property("file_lines_median", median)
    record_property("file_lines_p90", p90)
    with capsys.disabled():
        print(f"\nlines per file: {len(sizes)} files, median {median:g} (bar about 80), p90 {p90:g} (bar about 220)")
    assert median <= 160
    assert p90 <= 300


def test_no_function_is_too_long():
    long = []
    for path, name, node, _ in all_functions():
        lines = code_lines(path.read_text(encoding="utf-8"), node)
        if lines > MAX_CODE_LINES and (short(path), name) not in LONG_BY_DESIGN:
            long.append(f"{short(path)}:{node.lineno} {name}: {lines} code lines")
    assert not long, "\n".join(long)


def test_code_lines_are_counted_without_words_about_code():
    text = 'def f(a):\n    """Doc\n\n    more.\n    """\n    # why\n\n    b = (a +\n         1)  # why\n    return b\n'
    assert code_lines(text, next(functions(ast.parse(text)))[1]) == 4


def test_no_function_has_too_many_parameters_or_catch_alls():
    wrong = []
    for path, name, node, _ in all_functions():
        most = MAX_FLAGS if room(module(path)) == "cli" else MAX_PARAMETERS
        if len(parameters(node)) > most:
            wrong.append(f"{short(path)}:{node.lineno} {name}: {len(parameters(node))} parameters")
        if node.args.kwarg is not None and is_public(name):
            wrong.append(f"{short(path)}:{node.lineno} {name}: **{node.args.kwarg.arg}")
    assert not wrong, "\n".join(wrong)


def test_public_functions_are_typed_and_described():
    wrong = []
    for path, name, node, _ in all_functions():
        if not is_public(name):
            continue
        place = f"{short(path)}:{node.lineno} {name}"
        bare = [a.arg for a in parameters(node) if a.annotation is None]
        if bare or node.returns is None:
            wrong.append(f"{place}: no type for {', '.join([*bare, *([] if node.returns else ['the result'])])}")
        if ast.get_docstring(node) is None:
            wrong.append(f"{place}: no docstring")
    for path in files():
        if ast.get_docstring(tree(path)) is None:
            wrong.append(f"{short(path)}: no docstring")
    assert not wrong, "\n".join(wrong)


def bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(b).split("[")[0].rsplit(".", 1)[-1] for b in node.bases]


def test_classes_are_small_values():
    """Own classes are frozen dataclasses, NamedTuples, models, Protocols, enums, errors, or fit a foreign library."""
    known = {node.name: node for _, node in classes()}
    wrong = []
    for path, node in classes():
        methods = [n.name for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        place = f"{short(path)}:{node.lineno} {node.name}"
        if len(methods) > MAX_METHODS:
            wrong.append(f"{place}: {len(methods)} methods")
        decorators = [ast.unparse(d) for d in node.decorator_list]
        if any("dataclass" in d for d in decorators):
            if not any("frozen=True" in d for d in decorators):
                wrong.append(f"{place}: a dataclass that is not frozen")
        elif not node.bases:
            wrong.append(f"{place}: neither a frozen dataclass nor a NamedTuple nor a model")
        depth, at = 0, node
        while inner := [b for b in bases(at) if b in known and b != at.name]:
            depth, at = depth + 1, known[inner[0]]
        if depth > MAX_DEPTH:
            wrong.append(f"{place}: inherits through {depth} classes of the house")
        if any(word in node.name for word in BANNED_WORDS) and not (set(bases(node)) & VALUE_BASES or depth):
            wrong.append(f"{place}: a name that says nothing")
    assert not wrong, "\n".join(wrong)


def test_errors_inherit_flatly():
    depths = {}
    known = {node.name: node for path, node in classes() if path == PACKAGE / "base" / "errors.py"}
    for name, node in known.items():
        depth, at = 0, node
        while inner := [b for b in bases(at) if b in known]:
            depth, at = depth + 1, known[inner[0]]
        depths[name] = depth
    assert depths["NexovaError"] == 0
    assert max(depths.values()) <= MAX_DEPTH


def stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """True when nothing but a docstring, ``pass``, ``...`` or NotImplementedError stands in a function."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return all(
        isinstance(n, ast.Pass)
        or (isinstance(n, ast.Expr) and is_generated_flag(n.value))
        or (isinstance(n, ast.Raise) and n.exc is not None and "NotImplementedError" in ast.unparse(n.exc))
        for n in body
    )


def test_no_stub():
    """Only Protocols may leave a body out, and null callbacks (``no_...`` returning None) do nothing on purpose."""
    wrong = []
    for path, name, node, owner in all_functions():
        allowed = owner is not None and "Protocol" in bases(owner)
        null = node.name.startswith("no_") and node.returns is not None and ast.unparse(node.returns) == "None"
        if stub(node) and not allowed and not null:
            wrong.append(f"{short(path)}:{node.lineno} {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("body", ["pass", "...", "raise NotImplementedError('x')", "'x'", "'x'; ..."])
def test_a_stub_is_seen(body):
    assert stub(next(functions(ast.parse(f"def f(): {body}")))[1])


def test_nothing_prints_evaluates_or_swallows_everything():
    wrong = []
    for path in files():
        for node in ast.walk(tree(path)):
            place = f"{short(path)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in BANNED_CALLS:
                wrong.append(f"{place}: {ast.unparse(node.func)}()")
            if isinstance(node, ast.ExceptHandler) and all(isinstance(n, ast.Pass | ast.Continue) for n in node.body):
                caught = ast.unparse(node.type) if node.type else "BaseException"
                if caught in {"Exception", "BaseException"}:
                    wrong.append(f"{place}: swallows every error")
    assert not wrong, "\n".join(wrong)


def test_no_mutable_default():
    wrong = []
    for path, name, node, _ in all_functions():
        for default in (*node.args.defaults, *[d for d in node.args.kw_defaults if d]):
            if isinstance(default, ast.List | ast.Dict | ast.Set):
                wrong.append(f"{short(path)}:{node.lineno} {name}")
    assert not wrong, "\n".join(wrong)


def test_names_carry_units():
    wrong = []
    for path, name, node, _ in all_functions():
        for arg in parameters(node):
            kind = ast.unparse(arg.annotation) if arg.annotation else ""
            if (kind.split(" |")[0] in NUMBERS and arg.arg in BARE_QUANTITIES) or arg.arg.endswith(FOREIGN_SUFFIXES):
                wrong.append(f"{short(path)}:{node.lineno} {name}({arg.arg})")
    for path, node in classes():
        for item in node.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                kind, field = ast.unparse(item.annotation).split(" |")[0], item.target.id
                if (kind in NUMBERS and field in BARE_QUANTITIES) or field.endswith(FOREIGN_SUFFIXES):
                    wrong.append(f"{short(path)}:{item.lineno} {node.name}.{field}")
    assert not wrong, "\n".join(wrong)
