"""``nexova anomaly``: detectors fitted, scored, explained and judged."""

from __future__ import annotations

import typer

from nexova_sim.cli.anomaly_evaluate import evaluate

app = typer.Typer(name="anomaly", help="Anomaly detectors, and how good they are.", no_args_is_help=True)
app.command()(evaluate)
