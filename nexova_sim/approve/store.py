"""Where the registry lives: an SQLite file by default, PostgreSQL by URL. One writer at a time, whole or not at all.

SQLite runs with a write-ahead log, foreign keys, a busy timeout, and takes the write lock before it reads. PostgreSQL
writers queue on the row of the audit log's anchor. So what a writer has read cannot change before it writes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.pool import NullPool

from nexova_sim.approve.migrations import MIGRATIONS, applied, migrate
from nexova_sim.approve.tables import ANCHOR
from nexova_sim.base.errors import ConfigError, DataError, LockedError, need_extra

DEFAULT_STORE = "results/registry.db"
BUSY_MS = 30_000
_WRITES = {"nexova_writes": True}
_MIGRATION_LOCK = 0x6E78_0001  # any number no one else uses


class Store(NamedTuple):
    """An open registry. ``name`` is how it may be shown (no password); ``anchor`` the file its log is anchored in."""

    engine: sa.Engine
    name: str
    anchor: Path | None


def store_url(given: str | None, environment: Mapping[str, str]) -> str:
    """The registry meant: the flag, else NEXOVA_STORE, else results/registry.db."""
    return given or environment.get("NEXOVA_STORE") or DEFAULT_STORE


def _parse(url: str) -> sa.URL:
    if "://" not in url:
        path = url
    else:
        try:
            parsed = sa.make_url(url)
        except (exc.ArgumentError, ValueError) as error:
            raise ConfigError("--store: is no URL; give a file or postgresql://USER@HOST/DATABASE") from error
        if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
            return parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername != "sqlite":
            raise ConfigError(f"--store: {parsed.drivername} is not known here; give a file or a postgresql:// URL")
        path = parsed.database or ""
    if not path or path == ":memory:" or "\0" in path:
        raise ConfigError("--store: needs a file name or a postgresql:// URL")
    return sa.URL.create("sqlite", database=path)


def open_store(url: str, create: bool = False, anchor: str | None = None) -> Store:
    """Open the registry at ``url`` (a file, or postgresql://...) and bring its schema up to date.

    A registry that is not there is made with ``create``; otherwise DataError says how to make one. ``anchor`` names the
    file that anchors the audit log (default: beside an SQLite file; none for PostgreSQL).
    """
    parsed = _parse(url)
    name = parsed.render_as_string(hide_password=True)
    place: Path | None = Path(anchor) if anchor else None
    if parsed.drivername == "sqlite":
        path = Path(parsed.database or "")
        name = str(path)
        _check_file(path, create)
        place = place or path.with_name(path.name + ".anchor")
    try:
        engine = _engine(parsed)
    except ModuleNotFoundError as error:
        raise need_extra("psycopg", "postgres", "a registry on PostgreSQL") from error
    store = Store(engine, name, place)
    with _explained(store):
        with engine.connect() as connection:
            done = len(applied(connection))
        if not done and not create:
            raise _absent(name)
        if done != len(MIGRATIONS):
            with engine.connect().execution_options(**_WRITES) as connection, connection.begin():
                if engine.dialect.name == "postgresql":
                    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
                migrate(connection, name)
    return store


def _absent(name: str) -> DataError:
    return DataError(f"{name}: there is no registry; make one with: nexova users add EMAIL --role ADMIN")


def _check_file(path: Path, create: bool) -> None:
    try:
        if path.is_dir():
            raise ConfigError(f"--store {path}: is a folder; give a file in it")
        if not path.exists():
            if not create:
                raise _absent(str(path))
            path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be opened: {error.strerror}") from error


def _engine(url: sa.URL) -> sa.Engine:
    if url.drivername != "sqlite":
        return sa.create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 10})
    engine = sa.create_engine(url, poolclass=NullPool)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:  # noqa: ANN401 - of the driver
    connection.isolation_level = None  # transactions begin where _begin says, not where the driver guesses
    cursor = connection.cursor()
    for pragma in (f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "foreign_keys = ON", "synchronous = FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("nexova_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _explained(store: Store) -> Iterator[None]:
    """Errors of the database in our words; none of them carries a statement, a value or a password."""
    try:
        yield
    except exc.IntegrityError as error:
        reason = str(error.orig).splitlines()[0]
        raise DataError(f"{store.name}: the change breaks a rule of the registry and was not made ({reason})") from None
    except exc.OperationalError as error:
        reason = str(error.orig).splitlines()[0]
        if "database is locked" in reason or "lock timeout" in reason:
            raise LockedError(f"{store.name}: others were writing for {BUSY_MS // 1000} s; try again") from None
        raise DataError(f"{store.name}: cannot be used: {reason}") from None
    except exc.DBAPIError as error:
        reason = str(error.orig).splitlines()[0]
        raise DataError(f"{store.name}: is no registry of ours or is damaged: {reason}") from None


@contextlib.contextmanager
def reading(store: Store) -> Iterator[sa.Connection]:
    """A connection whose reads all see the same moment."""
    engine = store.engine
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with _explained(store), engine.connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(store: Store) -> Iterator[sa.Connection]:
    """A connection in a transaction that no other writer can interleave with; committed on a clean exit."""
    with _explained(store), store.engine.connect().execution_options(**_WRITES) as connection, connection.begin():
        if store.engine.dialect.name == "postgresql":
            connection.execute(sa.select(ANCHOR.c.count).with_for_update())
        yield connection
