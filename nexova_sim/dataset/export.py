"""Save rows as one file that is there whole or not at all, or send them to an open stream."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pyarrow as pa

from nexova_sim.base.errors import ConfigError, suggest
from nexova_sim.dataset.encode import FORMATS, TEXT_FORMATS, write_parquet
from nexova_sim.dataset.read import Dataset
from nexova_sim.dataset.stage import explain_os_error

_SUFFIXES = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_GZIP_LEVEL = 6


def format_of(path: Path | None, wanted: str | None, default: str = "csv") -> str:
    """The format to write: ``wanted``, else what the file's ending says; ConfigError for neither or an unknown one."""
    if wanted is not None:
        if wanted not in FORMATS:
            raise ConfigError(f"--format {wanted!r}: there is no such format; {suggest(wanted, FORMATS)}")
        return wanted
    if path is None:
        return default
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending.lower() not in _SUFFIXES:
        raise ConfigError(f"--to {path}: the ending {ending!r} tells no format; use one of {', '.join(_SUFFIXES)}")
    return _SUFFIXES[ending.lower()]


def send_rows(schema: pa.Schema, batches: Iterable[pa.RecordBatch], kind: str, sink: IO[bytes] | gzip.GzipFile) -> int:
    """Write rows in a text format to an open binary stream, batch by batch; returns the number of rows."""
    if kind not in TEXT_FORMATS:
        raise ConfigError(f"--format {kind}: cannot be printed; add --to FILE")
    n_rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal n_rows
        for batch in batches:
            n_rows += batch.num_rows
            yield batch

    for chunk in TEXT_FORMATS[kind](schema, counted()):
        sink.write(chunk)
    return n_rows


def save_rows(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], kind: str, path: Path, overwrite: bool = False
) -> int:
    """Write rows to ``path`` (gzip when it ends in .gz) by temporary file and rename; returns the number of rows.

    Raises ConfigError when ``path`` exists and ``overwrite`` is False, DataError when the disk refuses.
    """
    if path.suffix == ".gz" and kind == "parquet":
        raise ConfigError(f"--to {path}: Parquet is compressed inside; leave .gz out")
    n_rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal n_rows
        for batch in batches:
            n_rows += batch.num_rows
            yield batch

    with _whole_file(path, overwrite) as handle:
        if kind == "parquet":
            write_parquet(schema, counted(), handle)
        elif path.suffix == ".gz":
            # No name and no time in the header: equal rows give equal bytes.
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, handle, mtime=0) as zipped:
                send_rows(schema, counted(), kind, zipped)
        else:
            send_rows(schema, counted(), kind, handle)
    return n_rows


def check_target(path: Path, overwrite: bool, dataset: Dataset) -> None:
    """Refuse a target that exists, is no file, or lies inside the dataset, before any work is done."""
    if path.is_dir():
        raise ConfigError(f"--to {path}: is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise ConfigError(f"--to {path}: is no plain file; choose another")
    if path.exists() and not overwrite:
        raise ConfigError(f"--to {path}: exists already; choose another name or add --overwrite")
    if dataset.folder.resolve() in path.resolve().parents:
        raise ConfigError(f"--to {path}: lies inside the dataset, which would no longer verify; choose another place")


@contextmanager
def _whole_file(path: Path, overwrite: bool) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        _publish(temporary, path, overwrite)
    except FileExistsError as error:
        raise ConfigError(f"--to {path}: a part of the path is a file, not a folder; choose another") from error
    except OSError as error:
        raise explain_os_error(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _publish(temporary: Path, path: Path, overwrite: bool) -> None:
    if overwrite:
        temporary.replace(path)
        return
    try:
        # A link, unlike a rename, fails when another process made the file in the meantime.
        os.link(temporary, path)
    except FileExistsError as error:
        raise ConfigError(f"--to {path}: exists already; choose another name or add --overwrite") from error
    except OSError:  # a file system without hard links
        temporary.rename(path)
