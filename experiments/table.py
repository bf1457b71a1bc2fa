"""Put the table of a study into its README: ``python experiments/table.py CSV README [--check]``.

The table stands between two markers; ``--check`` writes nothing and exits 1 when README and CSV differ.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def markdown(path: Path) -> str:
    """The rows of a CSV file as a Markdown table, every value as it stands."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(table: Path, readme: Path, is_check: bool) -> int:
    """Write or check; returns the exit code."""
    text = readme.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        sys.stderr.write(f"{readme}: has no {BEGIN} ... {END}\n")
        return 2
    wanted = f"{before}{BEGIN}\n{markdown(table)}\n{END}{after}"
    if is_check:
        return int(wanted != text)
    readme.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--check"]
    sys.exit(main(Path(words[0]), Path(words[1]), "--check" in sys.argv))
