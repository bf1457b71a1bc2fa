"""Put a table of a study into its README: ``python experiments/table.py CSV README [--mark WORD] [--check]``.

The table stands between two markers, ``<!-- table -->`` (or ``<!-- table WORD -->``) and ``<!-- end of table -->``;
``--check`` writes nothing and exits 1 when README and CSV differ.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

END = "<!-- end of table -->"


def markdown(path: Path) -> str:
    """The rows of a CSV file as a Markdown table, every value as it stands."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(words: list[str]) -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("readme", type=Path)
    parser.add_argument("--mark", default="")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(words)
    begin = f"<!-- table {given.mark} -->" if given.mark else "<!-- table -->"
    text = given.readme.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        sys.stderr.write(f"{given.readme}: has no {begin} ... {END}\n")
        return 2
    wanted = f"{before}{begin}\n{markdown(given.table)}\n{END}{after}"
    if given.check:
        return int(wanted != text)
    given.readme.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
