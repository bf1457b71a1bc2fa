"""What stands beside the code fits it: command reference, workflow, image, citation, contributing, Makefile."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from nexova_sim import __version__
from nexova_sim.cli.app import root_command
from nexova_sim.cli.reference import reference


def test_the_command_reference_is_made_from_the_commands(root):
    stored = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert stored == reference(), "docs/cli.md no longer fits the commands; run: make docs"


def test_the_command_reference_holds_every_command_and_option():
    text = reference()

    def check(node, words: str) -> None:
        section = re.search(rf"^## {re.escape(words)}\n\n```text\n(.*?)```", text, flags=re.M | re.S)
        assert section, words
        for parameter in node.params:
            assert any(name in section[1] for name in (*parameter.opts, str(parameter.metavar)) if name), words
        for name, inner in getattr(node, "commands", {}).items():
            check(inner, f"{words} {name}")

    check(root_command(), "nexova")


def instructions(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", text)
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_is_built_in_stages_and_runs_as_nobody_special(root):
    steps = instructions((root / "Dockerfile").read_text(encoding="utf-8"))
    stages = [rest for word, rest in steps if word == "FROM"]
    assert len(stages) >= 2 and all(re.match(r"python:3\.1[1-9]-slim\b", stage) for stage in stages)
    names = {m[1] for stage in stages if (m := re.search(r" AS (\w+)$", stage))}
    last = steps[max(n for n, step in enumerate(steps) if step[0] == "FROM") :]
    words = [word for word, _ in last]
    assert dict(last)["USER"] not in {"root", "0"}
    assert dict(last)["ENTRYPOINT"] == '["nexova"]'
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not any("pip install" in rest or "apt-get" in rest for _, rest in last), "tools stay in the earlier stages"
    for word, rest in steps:
        if word in {"COPY", "ADD"}:
            parts = shlex.split(rest)
            source = re.match(r"--from=(\w+)", parts[0])
            if source:
                assert source[1] in names
            else:
                assert all((root / name).exists() for name in parts[:-1]), rest


def test_what_the_image_copies_is_sent_to_the_builder(root):
    kept = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    steps = instructions((root / "Dockerfile").read_text(encoding="utf-8"))
    copied = {n for w, rest in steps if w == "COPY" and "--from" not in rest for n in shlex.split(rest)[:-1]}
    assert copied == kept


def test_the_workflow_runs_what_a_person_runs(root):
    path = root / ".github" / "workflows" / "ci.yml"
    found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # 'on' is no truth value here
    assert {"push", "pull_request"} <= set(found["on"]) and found["permissions"] == {"contents": "read"}
    steps = [step for job in found["jobs"].values() for step in job["steps"]]
    runs = {step["run"] for step in steps if "run" in step}
    assert runs == {"make check", "make test", "make bench-quick"}
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)
    assert all("timeout-minutes" in job for job in found["jobs"].values())


def test_every_target_of_the_makefile_is_declared_and_known(root):
    text = (root / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, flags=re.M))
    phony = set(re.search(r"^\.PHONY: (.*)$", text, flags=re.M)[1].split())
    assert targets == phony
    assert {"demo", "test", "check", "bench", "bench-quick", "bench-micro", "docs", "wheel"} <= targets


def test_the_citation_fits_the_project(root):
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["version"] == project["version"] == __version__
    assert cited["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/recipes.md", "README.md"])
def test_files_that_a_text_names_are_there(root, name):
    """Paths in backticks below the project's own folders exist."""
    text = (root / name).read_text(encoding="utf-8")
    own = "nexova_sim|configs|tests|docs|experiments|notebooks|results/reference"
    found = re.findall(rf"`((?:{own})(?:/[\w./-]*)?)`", text)
    if name == "CONTRIBUTING.md":
        rooms = "detect|forecast|decide|schedule|report|run|simulate"
        found += [f"nexova_sim/{p}" for p in re.findall(rf"`((?:{rooms})/[a-z_]+\.py)`", text)]
    assert found
    assert [p for p in found if not (root / p).exists()] == []


def test_the_house_is_described_to_the_packager(root):
    found = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert all((root / name).exists() for name in found["sdist"]["include"])
    assert Path(root / next(iter(found["wheel"]["force-include"]))).is_dir()
