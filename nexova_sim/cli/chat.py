"""``nexova chat``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nexova_sim.cli import echo
from nexova_sim.cli.flags import JsonFlag, QuietFlag, SetFlag

DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Folder that simulate, ingest or split wrote.")
]
AskFlag = Annotated[
    list[str] | None, typer.Option("--ask", help="A question; may be repeated. Else lines are read.", metavar="TEXT")
]
VoiceFlag = Annotated[
    str, typer.Option("--voice", help="gemini, or scripted: a labelled stub that answers by rule.", metavar="NAME")
]
CassetteFlag = Annotated[Path | None, typer.Option("--cassette", help="File of recorded answers.", metavar="FILE")]
ModeFlag = Annotated[
    str, typer.Option("--mode", help="replay (no network), record (what is missing), rerecord, live.", metavar="MODE")
]
ConfigFlag = Annotated[
    str, typer.Option("--config", "-c", help="YAML file; built-in ones are in configs/decision.", metavar="FILE")
]


def chat(dataset: DatasetArgument, ask: AskFlag = None, voice: VoiceFlag = "gemini", tape: CassetteFlag = None,
         mode: ModeFlag = "replay", config: ConfigFlag = "configs/decision/default.yaml", settings: SetFlag = None,
         as_json: JsonFlag = False, quiet: QuietFlag = False) -> None:  # fmt: skip
    """Talk about a plant: its machines, alerts and power are in the first turn; later turns know the earlier ones.

    Example: nexova chat results/tiny --voice scripted --ask "Which machine needs attention first?"
    """
    echo.configure(as_json, quiet)
    from nexova_sim.config.decision import load_decision
    from nexova_sim.run import chat as verb
    from nexova_sim.run.decision_models import support_note

    resolved = load_decision(config, settings or [])
    if voice == "scripted":
        echo.note("answers come from the scripted stub, not from a language model")

    told = support_note(resolved.decision.model, [voice], mode)
    if told is not None:
        echo.note(told)

    def tell(answer: str) -> None:
        if not as_json:
            echo.result({}, answer)

    turns = verb.chat(dataset, resolved, verb.Voice(voice, mode, tape), ask or sys.stdin, tell)
    if as_json:
        echo.result({"turns": [{"question": q, "answer": a} for q, a in turns]})
