"""``nexova audit``: is the record whole, where does it end, and a copy of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.run.registry import Access, opened

if TYPE_CHECKING:
    from nexova_sim.approve.audit import Anchor, Entry, Finding

FORMATS = ("csv", "ndjson")


class AuditResult(NamedTuple):
    """What a verification found. ``covered`` entries are vouched for outside the registry; None: no such anchor."""

    n_entries: int
    head: str
    covered: int | None
    findings: tuple[Finding, ...]


def audit_verify(access: Access, anchor: str | None = None) -> AuditResult:
    """Check the log entry by entry against its anchors, and the tables of the registry against the log.

    ``anchor`` is COUNT:HEAD as ``head`` printed it once, or a file that holds that.
    """
    from nexova_sim.approve.check import verify_store

    extra = None if anchor is None else _anchor(anchor)
    with opened(access) as store:
        return AuditResult(*verify_store(store, extra))


def _anchor(given: str) -> Anchor:
    from nexova_sim.approve.audit import parse_anchor
    from nexova_sim.approve.ledger import read_anchor_file

    if ":" in given and not Path(given).is_file():
        return parse_anchor(given, f"--anchor {given}")
    found = read_anchor_file(Path(given))
    if found is None:
        raise DataError(f"--anchor {given}: there is no such file")
    return found


def audit_head(access: Access) -> str:
    """COUNT:HEAD of the log: one line to keep where nobody who can write the registry can write."""
    from nexova_sim.approve.audit import format_anchor
    from nexova_sim.approve.ledger import anchor_row
    from nexova_sim.approve.store import reading

    with opened(access) as store, reading(store) as connection:
        return format_anchor(anchor_row(connection))


def audit_format(to: Path | None, form: str | None) -> str:
    """The format of a copy: as asked for, else by the file's ending, else CSV."""
    chosen = form or (to.suffix.removeprefix(".") if to is not None else "csv")
    if chosen not in FORMATS:
        raise ConfigError(f"--format {chosen}: is not known; {suggest(chosen, FORMATS)}")
    return chosen


def audit_export(access: Access, sink: IO[str], form: str) -> int:
    """Write the whole log to ``sink`` as CSV (for spreadsheets: no cell is a formula) or NDJSON (exact); the rows."""
    from nexova_sim.approve.ledger import entries
    from nexova_sim.approve.store import reading

    n_rows = 0
    with opened(access) as store, reading(store) as connection:
        for line in _csv(entries(connection)) if form == "csv" else _ndjson(entries(connection)):
            sink.write(line)
            n_rows += 1
    return n_rows - (form == "csv")


def _ndjson(log: Iterator[Entry]) -> Iterator[str]:
    for entry in log:
        yield json.dumps(entry._asdict(), ensure_ascii=True, allow_nan=False) + "\n"


def _csv(log: Iterator[Entry]) -> Iterator[str]:
    from nexova_sim.approve.audit import Entry
    from nexova_sim.dataset.rejects import safe_cell

    yield csv_line(list(Entry._fields))
    for entry in log:
        yield csv_line([safe_cell(value) if isinstance(value, str) else value for value in entry])


def csv_line(cells: list[object]) -> str:
    """One line of CSV, ended by a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def save_export(access: Access, to: Path, form: str, overwrite: bool = False) -> int:
    """Write the log to a file that is there whole or not at all; the rows."""
    from nexova_sim.dataset.stage import explain_os_error, write_durably

    if to.exists() and not overwrite:
        raise ConfigError(f"--to {to}: is there already; choose another file or add --overwrite")
    text = io.StringIO()
    n_rows = audit_export(access, text, form)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        write_durably(to, text.getvalue().encode("utf-8"))
    except OSError as error:
        raise explain_os_error(error, to) from error
    return n_rows
