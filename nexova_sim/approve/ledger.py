"""The audit log in the registry: entries appended in the transaction they speak of, the anchor beside and outside.

The anchor's row in the registry moves in the same transaction. The anchor's file is written after it, so a process
killed in between leaves a file that is older than the log but still vouches for all it ever covered.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from nexova_sim.approve.audit import EMPTY, Anchor, Entry, format_anchor, parse_anchor, seal
from nexova_sim.approve.store import Store
from nexova_sim.approve.tables import ANCHOR, AUDIT
from nexova_sim.base.errors import DataError

ANCHOR_ROW = "the registry's anchor"
_BATCH = 2_000


def anchor_row(connection: sa.Connection) -> Anchor:
    """Length and head of the log as its own table of the registry says; DataError when the row is gone."""
    row = connection.execute(sa.select(ANCHOR.c.count, ANCHOR.c.head)).one_or_none()
    if row is None:
        raise DataError("the registry's audit anchor is gone; restore the registry from a copy")
    return Anchor(int(row[0]), str(row[1]))


def append(connection: sa.Connection, entry: Entry) -> Anchor:
    """Add an entry to the end of the log; its place, link and digest are set here. Returns the new anchor."""
    before = anchor_row(connection)
    placed, after = seal(before, entry)
    connection.execute(sa.insert(AUDIT).values(placed._asdict()))
    longer = sa.update(ANCHOR).where(ANCHOR.c.count == before.n_entries)
    longer = longer.values(count=after.n_entries, head=after.head)
    moved = connection.execute(longer)
    if moved.rowcount != 1:
        raise DataError("the audit log grew meanwhile; nothing was changed, try again")
    return after


def entries(connection: sa.Connection) -> Iterator[Entry]:
    """The log from its first entry, in constant memory."""
    last = -(2**62)
    while True:
        query = sa.select(AUDIT).where(AUDIT.c.seq > last).order_by(AUDIT.c.seq).limit(_BATCH)
        rows = connection.execute(query).all()
        for row in rows:
            yield Entry(*row)
        if len(rows) < _BATCH:
            return
        last = rows[-1].seq


def read_anchor_file(path: Path) -> Anchor | None:
    """The anchor kept in a file; None when there is no such file, DataError when it is not one."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the audit anchor cannot be read: {error}") from error
    return parse_anchor(text, str(path))


def save_anchor(store: Store, anchor: Anchor) -> None:
    """Write the anchor's file unless a later one is there already; DataError when the disk refuses."""
    path = store.anchor
    if path is None:
        return
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with _locked(path.with_name(f"{path.name}.lock")):
            if (read_anchor_file(path) or EMPTY).n_entries >= anchor.n_entries:
                return
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(format_anchor(anchor) + "\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path}: the change was made, but its anchor cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
