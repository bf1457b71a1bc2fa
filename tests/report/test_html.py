"""The page: one file, whole, harmless, readable without scripts, the same bytes each time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from nexova_sim.report.html import Making, render, strip
from nexova_sim.report.words import clock, duration, island, number, percent
from tests.report_fleet import END, START, events_table, factories_table, fleet, labels_table, machines_table, manifest

MAKING = Making((("Seed", "1"),), ("nexova run --config config.resolved.yaml",), "fleet:\n  name: hand\n")
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; 漢字 \u2028 {{ 7*7 }} =cmd|' /C'!A0"
VOID = {"meta", "img", "input", "br", "link", "hr"}


class Reader(HTMLParser):
    """Elements with their attributes, text by element name; complains about tags that do not match."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.found, self.text = [], [], {}
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def page_of(data=None, title="Quickstart", figures=3):
    return render(title, data or fleet(), MAKING, figures)


@pytest.fixture(scope="module")
def page():
    return page_of()


@pytest.fixture(scope="module")
def reader(page):
    return Reader(page.html)


def test_same_data_give_the_same_page(page):
    assert page_of().html == page.html
    assert page.n_figures == 3 and page.states == {"HEALTHY": 1, "WARNING": 0, "CRITICAL": 1, "OFFLINE": 1}


def test_page_is_one_file_that_reaches_nowhere(page, reader):
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\((?!#)", page.html)
    assert not {"link", "iframe", "object", "embed", "img", "base"} & {tag for tag, _ in reader.found}
    assert all("src" not in attrs for _, attrs in reader.found)
    policy = next(a["content"] for a in reader.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy
    assert not any(name.startswith("on") for _, attrs in reader.found for name in attrs)


def test_links_inside_the_page_and_labels_have_their_targets(reader):
    ids = [attrs["id"] for _, attrs in reader.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in reader.found:
        target = attrs.get("href") or attrs.get("xlink:href")
        if target and target not in {"#found", "#all"}:
            assert target.startswith("#") and target[1:] in ids
        for name in ("aria-labelledby", "for"):
            assert attrs.get(name, ids[0]) in ids


def test_page_is_built_for_keyboard_and_screen_reader(reader):
    tags = [tag for tag, _ in reader.found]
    assert {"header", "nav", "main", "footer"} <= set(tags) and tags.count("h1") == 1 and tags.count("main") == 1
    assert reader.all("html") == [{"lang": "en"}]
    assert all(attrs.get("scope") in {"col", "row"} for attrs in reader.all("th"))
    assert all(
        attrs.get("tabindex") == "0" and attrs.get("aria-label")
        for attrs in reader.all("div")
        if attrs.get("class") == "scroll"
    )
    plots = [attrs for attrs in reader.all("div") if str(attrs.get("class")).startswith("plot")]
    assert len(plots) == 2 * 4 and all(attrs["role"] == "img" and attrs["aria-label"] for attrs in plots)
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_content_is_there_without_scripts(page, reader):
    text = " ".join(t for tag, parts in reader.text.items() if tag not in {"script", "style"} for t in parts)
    wanted = ["cooling_loss", "Failure: bearing", "Maintenance: repair", "health 40 %", "North works", "in maintenance"]
    for expected in (*wanted, "2026-01-05 00:00", "UTC", "kWh", "mm/s", "°C", *MAKING.commands, "name: hand"):
        assert expected in text, expected
    # Without scripts the rule "html:not(.live) .live" takes away what needs them.
    assert "live" in next(a for a in reader.all("form") if a.get("id") == "controls")["class"].split()
    assert "nan" not in text.lower().split() and "None" not in text and "inf" not in text.split()


def test_hostile_names_are_only_text():
    names = (EVIL, "m-2", "m-3")
    data = fleet(names)
    data = data._replace(
        manifest=manifest(name=EVIL),
        machines=machines_table(list(names), factories=(EVIL, "south", "south"), titles=(EVIL, EVIL, "x")),
        factories=factories_table(((EVIL, EVIL), ("south", "South works"))),
        labels=labels_table([(EVIL, EVIL, EVIL, 10.0, 48.0, 0.8, True)]),
        events=events_table([(EVIL, 15.0, "failure", EVIL, EVIL), (EVIL, 16.0, "maintenance_start", EVIL, EVIL)]),
    )
    data.description["channels"][0].update(name=EVIL, unit=EVIL)
    evil = Making(((EVIL, EVIL),), (EVIL,), EVIL + "</pre>")
    page = render(EVIL, data, evil, 3).html
    reader, plain = Reader(page), Reader(page_of().html)
    assert len(reader.all("script")) == len(plain.all("script")) == 4
    assert not reader.all("img") and "49" not in "".join(reader.text["h1"])
    assert reader.text["h1"] == [EVIL] and EVIL in "".join(reader.text["text"])
    for name in ("report-data", "report-traces"):
        text = re.search(rf'id="{name}">(.*?)</script>', page, re.S)[1]
        assert "\u2028" not in text
        stored = json.loads(text)["machines"][0]
        assert EVIL in (stored["machine_id"] if name == "report-data" else stored["faults"][0][2])


def test_json_island_cannot_be_left():
    value = {"a": "</script><!--<script>", "b": [1.5, None, "&\u2028"]}
    text = str(island(value))
    assert not re.search("[<>&\u2028\u2029]", text) and json.loads(text) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        island({"a": float("nan")})


def test_measured_data_without_truth_labels_or_events():
    data = fleet(
        truth=False,
        labels=labels_table([]),
        events=events_table([]),
        manifest=manifest(source="ingest", seed=None, dt_s=None),
    )
    data.series.low[1:], data.series.high[1:], data.series.total[1:], data.series.n_valid[1:] = np.nan, np.nan, 0.0, 0
    page = render("Plant", data, Making((), (), ""), 2)
    text = Reader(page.html).text
    assert page.states == {"ONLINE": 2, "OFFLINE": 0, "MAINTENANCE": 1}
    flat = " ".join(t for tag, parts in text.items() if tag not in {"script", "style"} for t in parts)
    assert (
        "HEALTHY" not in flat
        and "Health, %" not in flat
        and "No fault is labelled" in flat
        and "irregular times" in flat
    )
    assert "2 of 3 machines" in flat and "Temperature, °C" not in flat


def test_no_figures_and_nothing_read_at_all():
    page = page_of(figures=0)
    assert page.n_figures == 0 and 'href="#machine-' not in page.html and "No machine was chosen" in page.html
    data = fleet(truth=False)
    for values in (data.series.low, data.series.high):
        values[:] = np.nan
    for values in (data.series.n_valid, data.series.total, data.series.status, data.series.energy_kwh):
        values[:] = 0
    data.series.last_status[:] = -1
    empty = page_of(data)
    assert empty.n_figures == 3 and "NO DATA" in empty.html


def test_numbers_are_readable():
    assert [number(v, 1) for v in (1234567.89, -0.5, float("nan"), None)] == [
        "1\u202f234\u202f567.9",
        "\u22120.5",
        "\u2013",
        "\u2013",
    ]
    assert [percent(v, 1) for v in (0.5, 0.0, 1.0, 0.00001, 0.99999, float("nan"))] == [
        "50.0",
        "0.0",
        "100.0",
        "<0.1",
        ">99.9",
        "\u2013",
    ]
    assert [percent(v) for v in (0.005, 0.995, 0.006)] == ["<1", ">99", "1"]
    assert [duration(v) for v in (60, 300, 5400, 34_200, 820_800, 2_592_000.5)] == [
        f"{v}\u202f{u}"
        for v, u in (("60", "s"), ("5", "min"), ("90", "min"), ("9.5", "h"), ("9.5", "days"), ("30", "days"))
    ]
    assert clock(START) == "2026-01-05 00:00" and clock(END) == "2026-01-07 00:00" and clock(None) == "\u2013"


def test_strip_says_in_words_what_it_shows():
    text = str(strip(np.array([0, 0, 0, 3], np.int8)))
    assert 'aria-label="HEALTHY 75 %, OFFLINE 25 %"' in text and text.count("<rect") == 2
