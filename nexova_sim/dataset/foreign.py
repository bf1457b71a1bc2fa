"""Files of other systems, CSV or Parquet, in blocks of columns with real line numbers; broken files are refused.

One line of a CSV file is one row: a line break inside quotes is a malformed row, so that one stray quote never swallows
the rest of a file. Memory is bounded by the block, the longest line and the number of columns.
"""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nexova_sim.base.errors import ConfigError, DataError, suggest
from nexova_sim.base.hashing import hash_file
from nexova_sim.config.ingest import IngestMap

BLOCK_BYTES = 1 << 21
MAX_LINE_BYTES = 1 << 20
MAX_COLUMNS = 4096
BATCH_ROWS = 65_536
RAW_CHARS = 200

_BOM = b"\xef\xbb\xbf"
_PARQUET = b"PAR1"
_KNOWN = {
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it, or export the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; export the sheet as CSV",
    b"\xff\xfe": "UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "UTF-16 text; convert it to UTF-8",
    b"(\xb5/\xfd": "zstd-compressed; unpack it first",
}


class Foreign(NamedTuple):
    """An opened foreign file: ``name`` is what rejects and reports call it; ``first_line`` the first line of data."""

    path: Path
    name: str
    number: int
    is_parquet: bool
    columns: tuple[str, ...]
    n_bytes: int
    sha256: str
    data_offset: int
    first_line: int


class Block(NamedTuple):
    """Rows of a file: wanted columns as Arrow arrays (text for CSV), line and byte offset of every row (int64).

    ``bad`` are rows that have no columns: (line, offset, reason). ``n_blank`` lines held nothing at all.
    """

    columns: dict[str, pa.Array]
    line: np.ndarray
    offset: np.ndarray
    bad: list[tuple[int, int, str]]
    n_blank: int


def open_all(paths: Sequence[Path], mapping: IngestMap) -> list[Foreign]:
    """Open every file: kind, header and hash; ConfigError for a file given twice, DataError for one that is broken."""
    seen: dict[Path, Path] = {}
    names: dict[str, int] = {}
    files = []
    for number, path in enumerate(paths):
        if (first := seen.setdefault(path.resolve(), path)) is not path:
            raise ConfigError(f"{path}: given twice (also as {first}); give every file once")
        names[path.name] = names.get(path.name, 0) + 1
        name = path.name if names[path.name] == 1 else f"{path.name}#{names[path.name]}"
        try:
            files.append(_open(path, name, number, mapping))
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read: {error.strerror or error}; check the path and its permissions"
            ) from error
    if not files:
        raise ConfigError("no files given; name at least one CSV or Parquet file")
    return files


def _open(path: Path, name: str, number: int, mapping: IngestMap) -> Foreign:
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give files, e.g. {path}/*.csv")
    if not path.exists():
        near = [p.name for p in path.parent.glob("*")][:1000] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file; {suggest(path.name, near)}")
    if not path.is_file():
        raise DataError(f"{path}: is not a regular file; save the stream into a file first")
    n_bytes = path.stat().st_size
    if n_bytes == 0:
        raise DataError(f"{path}: is empty; expected a header and at least one row")
    with path.open("rb") as handle:
        head = handle.read(4)
    if head == _PARQUET:
        return Foreign(path, name, number, True, _parquet_columns(path), n_bytes, hash_file(path), 0, 1)
    if path.suffix.lower() in (".parquet", ".pq"):
        raise DataError(
            f"{path}: is not Parquet (it does not begin with PAR1); export it again, or rename it to .csv if it is CSV"
        )
    for magic, what in _KNOWN.items():
        if head.startswith(magic):
            raise DataError(f"{path}: is {what}")
    columns, offset, first_line = _csv_header(path, mapping)
    return Foreign(path, name, number, False, columns, n_bytes, hash_file(path), offset, first_line)


def _parquet_columns(path: Path) -> tuple[str, ...]:
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_columns > MAX_COLUMNS:
                raise DataError(f"{path}: {file.metadata.num_columns} columns; at most {MAX_COLUMNS} are read")
            if file.metadata.num_rows == 0:
                raise DataError(f"{path}: holds no rows")
            return _distinct(path, list(file.schema_arrow.names))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is not readable Parquet ({_short(error)}); export it again") from error


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__


def _distinct(path: Path, names: list[str]) -> tuple[str, ...]:
    doubled = sorted({n for n in names if n and names.count(n) > 1})
    if doubled:
        raise DataError(
            f"{path}: column {doubled[0]!r} stands twice in the header; for a CSV file name the columns yourself with "
            "'columns: [...]' and 'skip_lines: 1'"
        )
    return tuple(names)


def _csv_header(path: Path, mapping: IngestMap) -> tuple[tuple[str, ...], int, int]:
    """Column names, byte offset of the first row of data, its line number."""
    with path.open("rb") as handle:
        if handle.read(3) != _BOM:
            handle.seek(0)
        line = b""
        n_lines = mapping.skip_lines + (mapping.columns is None)
        for number in range(1, n_lines + 1):
            line = handle.readline(MAX_LINE_BYTES + 1)
            if len(line) > MAX_LINE_BYTES:
                raise DataError(f"{path}: line {number} is longer than {MAX_LINE_BYTES} bytes; this is no CSV file")
            if not line:
                raise DataError(
                    f"{path}: ends at line {number}, before the header; check skip_lines ({mapping.skip_lines})"
                )
            _no_nul(path, line, handle.tell() - len(line))
        offset = handle.tell()
    if mapping.columns is not None:
        return _distinct(path, list(mapping.columns)), offset, n_lines + 1
    text = _decode(path, line, offset - len(line), n_lines, mapping.encoding).rstrip("\r\n")
    if "\r" in text:
        raise DataError(f"{path}: its lines end in CR alone; convert them to LF or CRLF")
    row = _one(text, mapping.delimiter)
    if row is None:
        raise DataError(f"{path}: line {n_lines}: the header is malformed (unbalanced quotes)")
    if len(row) > MAX_COLUMNS:
        raise DataError(f"{path}: {len(row)} columns; at most {MAX_COLUMNS} are read")
    names = [name.strip() for name in row]
    if not any(names):
        raise DataError(f"{path}: line {n_lines}: the header is blank; check skip_lines ({mapping.skip_lines})")
    return _distinct(path, names), offset, n_lines + 1


def _no_nul(path: Path, data: bytes, offset: int) -> None:
    at = data.find(b"\0")
    if at >= 0:
        raise DataError(
            f"{path}: byte offset {offset + at}: a NUL byte; this is a binary file or UTF-16 text, not CSV",
            offset=offset + at,
        )


def _decode(path: Path, data: bytes, offset: int, line: int, encoding: str) -> str:
    try:
        return data.decode("utf-8" if encoding == "utf-8-sig" else encoding)
    except UnicodeDecodeError as error:
        at = offset + error.start
        where = f"line {line + data[: error.start].count(10)}"
        hint = "if the file is Latin-1, set 'encoding: latin-1'" if encoding.startswith("utf") else "check 'encoding'"
        raise DataError(
            f"{path}: byte offset {at} ({where}): byte 0x{data[error.start]:02X} is not {encoding}; {hint}", offset=at
        ) from error


def _one(text: str, delimiter: str) -> list[str] | None:
    """Cells of one line, or None when it is malformed."""
    try:
        rows = list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _rows(text: str, lines: list[str], delimiter: str) -> list[list[str] | None]:
    """Cells of every line, exactly one entry per line."""
    if '"' not in text and "\r" not in text:
        try:
            return list(csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE))
        except csv.Error:  # a cell beyond the parser's limit: find the line
            pass
    return [_one(line, delimiter) for line in lines]


def _pieces(file: Foreign) -> Iterator[tuple[bytes, int]]:
    """Whole lines of a CSV file in pieces of about BLOCK_BYTES, each with its byte offset."""
    rest, offset = b"", file.data_offset
    with file.path.open("rb") as handle:
        handle.seek(offset)
        while chunk := handle.read(BLOCK_BYTES):
            data = rest + chunk
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            if len(rest) > MAX_LINE_BYTES:
                raise DataError(
                    f"{file.path}: byte offset {offset + cut}: a line over {MAX_LINE_BYTES} bytes; this is no CSV file"
                )
            if cut:
                yield data[:cut], offset
                offset += cut
    if rest:
        yield rest, offset


def csv_blocks(file: Foreign, mapping: IngestMap, wanted: Sequence[str]) -> Generator[Block, None, None]:
    """The rows of a CSV file; ``wanted`` columns as text, stripped of nothing."""
    index = {name: file.columns.index(name) for name in wanted}
    width = len(file.columns)
    line_number = file.first_line
    for data, offset in _pieces(file):
        _no_nul(file.path, data, offset)
        text = (
            _decode(file.path, data, offset, line_number, mapping.encoding)
            .replace("\r\n", "\n")
            .removesuffix("\n")
            .removesuffix("\r")
        )
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10)
        lines = text.split("\n")
        starts = np.concatenate([[0], ends + 1])[: len(lines)].astype(np.int64)
        if len(lines) and int(np.diff(np.append(starts, len(data))).max()) > MAX_LINE_BYTES:
            raise DataError(
                f"{file.path}: near line {line_number}: a line longer than {MAX_LINE_BYTES} bytes; this is no CSV file"
            )
        yield _block(_rows(text, lines, mapping.delimiter), lines, starts + offset, line_number, index, width)
        line_number += len(lines)


def _block(rows: list[list[str] | None], lines: list[str], offsets: np.ndarray, first_line: int,
           index: dict[str, int], width: int) -> Block:  # fmt: skip
    keep, bad, n_blank = [], [], 0
    for i, row in enumerate(rows):
        if row is not None and len(row) == width and (row[0] or width > 1):
            keep.append(i)
        elif not lines[i].strip():
            n_blank += 1
        elif row is None:
            bad.append((first_line + i, int(offsets[i]), "malformed line (quotes or a stray line break)"))
        else:
            bad.append((first_line + i, int(offsets[i]), "wrong number of columns"))
    good = [row for i in keep if (row := rows[i]) is not None]
    columns = {name: pa.array([row[at] for row in good], pa.string()) for name, at in index.items()}
    where = np.array(keep, np.int64)
    return Block(columns, where + first_line, offsets[where], bad, n_blank)


def parquet_blocks(file: Foreign, wanted: Sequence[str]) -> Generator[Block, None, None]:
    """The rows of a Parquet file; ``line`` is the row number from 1."""
    row = 1
    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as source:
            for batch in source.iter_batches(BATCH_ROWS, columns=list(wanted), use_threads=False):
                batch.validate(full=True)  # text that is not UTF-8 would fail anywhere later
                n = batch.num_rows
                lines = np.arange(row, row + n, dtype=np.int64)
                yield Block({name: batch.column(name) for name in wanted}, lines, np.full(n, -1, np.int64), [], 0)
                row += n
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file.path}: Parquet is damaged near row {row} ({_short(error)}); export it again") from error


def blocks(file: Foreign, mapping: IngestMap, wanted: Sequence[str]) -> Generator[Block, None, None]:
    """The rows of a foreign file in order, the ``wanted`` columns only. DataError names the place of what is broken."""
    return parquet_blocks(file, wanted) if file.is_parquet else csv_blocks(file, mapping, wanted)


def raw_texts(file: Foreign, mapping: IngestMap, lines: np.ndarray, offsets: np.ndarray) -> Iterator[str]:
    """The raw text of rows, in the order given (ascending), each cut to RAW_CHARS characters."""
    if not file.is_parquet:
        with file.path.open("rb") as handle:
            for offset in offsets:
                handle.seek(int(offset))
                data = handle.readline(4 * RAW_CHARS).rstrip(b"\r\n")
                yield data.decode("utf-8" if mapping.encoding.startswith("utf") else mapping.encoding, "replace")[
                    :RAW_CHARS
                ]
        return
    at = 0
    for block in parquet_blocks(file, file.columns):
        last = int(block.line[-1])
        while at < len(lines) and lines[at] <= last:
            i = int(lines[at] - block.line[0])
            yield ", ".join(str(column[i].as_py()) for column in block.columns.values())[:RAW_CHARS]
            at += 1
