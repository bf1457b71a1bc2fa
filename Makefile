# make demo: set up .venv with what the demo needs and run it. make test: set up everything and run all tests.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
XDIST ?= auto
REFERENCE := results/reference/bench.json

.PHONY: demo test test-slow check bench bench-quick bench-micro bench-accept docs wheel format clean

.venv/python:
	$(PYTHON) -c 'import sys; sys.exit("nexova_sim needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/demo: .venv/python pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

# torch first and by its pinned version, so that no dependency can pull another build.
.venv/all: .venv/demo
	$(PIP) install --quiet --constraint constraints.txt torch==2.13.0
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

demo: .venv/demo
	$(BIN)/nexova run --config configs/experiment/quickstart.yaml

test: .venv/all
	$(BIN)/python -m pytest -n $(XDIST) -m "not slow"

test-slow: .venv/all
	$(BIN)/python -m pytest -n $(XDIST) -m slow

check: .venv/all
	$(BIN)/ruff check nexova_sim tests
	$(BIN)/ruff format --check nexova_sim tests
	$(BIN)/mypy

# Every bar with its value and verdict (about twenty CPU-minutes).
bench: .venv/all
	$(BIN)/nexova bench

# Nothing grew worse than the reference (about two CPU-minutes).
bench-quick: .venv/all
	$(BIN)/nexova bench --quick --compare $(REFERENCE)

# Single kernels and steps, timed by pytest-benchmark.
bench-micro: .venv/all
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only --benchmark-columns=min,median,ops,rounds

bench-accept: .venv/all
	$(BIN)/nexova bench --accept

docs: .venv/demo
	$(BIN)/python -m nexova_sim.cli.reference docs/cli.md

wheel: .venv/all
	$(BIN)/python -m build --no-isolation

format: .venv/all
	$(BIN)/ruff check --fix nexova_sim tests
	$(BIN)/ruff format nexova_sim tests

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .pytest_cache build dist
