"""Rows that were refused: where they stood, why, and a text file of them that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nexova_sim.base.errors import DataError
from nexova_sim.config.ingest import IngestMap
from nexova_sim.dataset.foreign import Foreign, raw_texts

REJECTS_PATH = "rejects/rejects-00000.csv"
MAX_REJECTS = 10_000_000
HEADER = ("file", "line", "reason", "raw")

# A spreadsheet runs a cell that begins with one of = + - @; another list separator may split raw text into new cells.
_FORMULA = re.compile(r"([;,\t|]\s*)(?=[=+\-@])(?![+-]?[\d.]+(?:[eE][+-]?\d+)?\s*(?:[;,\t|]|$))")


class RejectRows(NamedTuple):
    """Refused rows of one file: line, byte offset (-1 in Parquet) and reason code, arrays (n,)."""

    file: int
    line: np.ndarray
    offset: np.ndarray
    reason: np.ndarray


@dataclass(frozen=True)
class Rejects:
    """Collected rejects; ``reasons`` maps each text to its code in order of first use."""

    reasons: dict[str, int] = field(default_factory=dict)
    chunks: list[RejectRows] = field(default_factory=list)

    def code(self, reason: str) -> int:
        """Code of a reason, from 1."""
        return self.reasons.setdefault(reason, len(self.reasons) + 1)

    def add(self, file: int, line: np.ndarray, offset: np.ndarray, reason: np.ndarray) -> None:
        """Collect rejected rows of a file; DataError when there are more than MAX_REJECTS."""
        if len(line):
            self.chunks.append(RejectRows(file, line, offset, reason))
            if sum(len(c.line) for c in self.chunks) > MAX_REJECTS:
                raise DataError(
                    f"more than {MAX_REJECTS:,} rows are rejected ({summary(self.counts())}); "
                    "check the mapping file, or ingest fewer files"
                )

    def counts(self, file: int | None = None) -> dict[str, int]:
        """Rejected rows per reason, of one file or of all, sorted by reason."""
        total = np.zeros(len(self.reasons) + 1, np.int64)
        for chunk in self.chunks:
            if file is None or chunk.file == file:
                total += np.bincount(chunk.reason, minlength=len(total))
        return {reason: int(total[code]) for reason, code in sorted(self.reasons.items()) if total[code]}


def safe_cell(text: str) -> str:
    """Text without control characters that no spreadsheet takes for a formula."""
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    text = _FORMULA.sub(r"\1'", text)
    return "'" + text if text.lstrip()[:1] in ("=", "+", "-", "@") else text


def write_rejects(folder: Path, rejects: Rejects, files: Sequence[Foreign], mapping: IngestMap) -> int:
    """Write the rejects, by file and line, durably below ``folder`` (a header at least); returns their number."""
    target = folder / REJECTS_PATH
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".tmp")
    texts = {code: reason for reason, code in rejects.reasons.items()}
    total = 0
    with temporary.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(HEADER)
        for file in files:
            chunks = [c for c in rejects.chunks if c.file == file.number]
            if not chunks:
                continue
            line, offset, reason = (np.concatenate([c[i] for c in chunks]) for i in (1, 2, 3))
            order = np.argsort(line, kind="stable")
            line, offset, reason = line[order], offset[order], reason[order]
            raws = raw_texts(file, mapping, line, offset)
            for number, code, raw in zip(line, reason, raws, strict=True):
                writer.writerow([safe_cell(file.name), int(number), safe_cell(texts[int(code)]), safe_cell(raw)])
            total += len(line)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(target)
    return total


def summary(counts: dict[str, int]) -> str:
    """Counts per reason in one line, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason}: {count:,}" for reason, count in ranked)
