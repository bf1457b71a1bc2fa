"""The report as Markdown: whole, with tables that stay tables, and names that stay text."""

from __future__ import annotations

import re

import pytest

from nexova_sim.report.html import Making, render
from nexova_sim.report.markdown import escape_markdown, to_markdown
from tests.report_fleet import events_table, fleet, labels_table

MAKING = Making((("Seed", "1"),), ("nexova run --config config.resolved.yaml",), "fleet:\n  name: ```hand```\n")
EVIL = "<img src=x onerror=alert(1)> a|b\n| c | `d` [e](javascript:f) **g** \\| &amp; _h_ https://x"


def rows_of(text):
    """Tables as lists of rows of raw cells."""
    tables, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("| "):
            rows.append(re.split(r"(?<!\\)\|", line)[1:-1])
        elif rows:
            tables.append(rows)
            rows = []
    return tables


def test_every_part_of_the_page_is_there():
    page = render("Quickstart", fleet(), MAKING, 2).html
    text = to_markdown(page)
    for title in re.findall(r"<h2 [^>]*>([^<]+)</h2>", page):
        if title != "Everything found":
            assert f"\n## {title}\n" in text
    assert len(rows_of(text)) == page.count("<table")
    assert text.startswith("# Quickstart\n")
    for words in ("- 1 CRITICAL 33 %", "cooling\\_loss" if "cooling\\_loss" in text else "cooling_loss", "| m-2 |",
                  "*Figure: Power, temperature, vibration and state of m-1 over time", "- **Seed**: 1",
                  "````\nfleet:\n  name: ```hand```\n````", "**Running**"):  # fmt: skip
        assert words in text, words
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    assert not re.search(r"</?[a-z]", text)


def test_what_only_the_screen_can_do_is_left_out():
    text = to_markdown(render("Quickstart", fleet(), MAKING, 2).html)
    for words in ("Skip to", "Save as CSV", "Everything found", "All on one page", "Point at a figure", "Find"):
        assert words not in text


@pytest.mark.parametrize("name", [EVIL, "- x", "1. x", "# x", "---", "\u202eabc\u2028def"])
def test_names_break_no_table_and_make_no_markup(name):
    data = fleet((name, "m-2", "m-3"))
    data = data._replace(
        labels=labels_table([(name, name, None, 1.0, 9.0, 0.5, False)]),
        events=events_table([(name, 5.0, "failure", name, "")]),
    )
    plain = rows_of(to_markdown(render("x", fleet(), MAKING, 0).html))
    text = to_markdown(render(name, data, MAKING, 0).html)
    tables = rows_of(text)
    assert [[len(row) for row in table][:2] for table in tables] == [[len(row) for row in t][:2] for t in plain]
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    outside = re.sub(r"^(`{3,})\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"<(?!$)|(?<!\\)\*\*g|(?<!\\)\[e|\u2028", outside)
    assert re.match(r"# (?:\S)", text)


def test_escapes_say_what_they_said():
    assert (
        escape_markdown("a_b <i> x*y | [z] ~ `k` \\ & é") == "a_b &lt;i&gt; x\\*y \\| \\[z\\] \\~ \\`k\\` \\\\ &amp; é"
    )
    assert escape_markdown("_a_ b_") == "\\_a\\_ b\\_"
    assert escape_markdown("two\n lines\u2029here") == "two lines here"
    assert escape_markdown("1\u202f000") == "1\u202f000"


def test_pieces():
    text = to_markdown(
        "<p>- no list</p><p>2) no list</p><p>a <b>b</b><small>c</small></p><table><caption>t</caption>"
        '<tr><th>x</th><th class="n">y</th></tr><tr hidden><td>h</td><td>h</td></tr>'
        '<tr><td>a <code>c`d</code></td><td class="n">1</td></tr></table><ul><li>q</li></ul>'
        '<div><span>row</span><svg role="img" aria-label="a <b>"><text>no</text></svg></div>'
    )
    assert text == (
        "\\- no list\n\n2\\) no list\n\na b (c)\n\n*t*\n\n| x | y |\n| --- | ---: |\n| a `` c`d `` | 1 |\n\n- q\n\n"
        "row\n\n*Figure: a &lt;b&gt;*\n"
    )
