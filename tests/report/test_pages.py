"""The report in a real browser: hostile names inert, nothing too wide, colours one can read, keys, print."""

from __future__ import annotations

import base64
import json
import re

import pytest

from tests import browser
from tests.report_pages import EVIL, TITLE, hostile_page, thousand_page

pytestmark = pytest.mark.skipif(browser.PATH is None, reason="chromium is not installed")
PAGES = ("overview", "machines", "figures", "faults", "alerts", "approvals", "twin", "rul", "anomaly", "forecast",
         "energy", "decisions", "quality", "making")  # fmt: skip
VIEWS = (*PAGES, "all", "found?machine=lyon")
FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Every visible text against what lies behind it, as WCAG 2.1 counts; text on a picture is judged on its ground.
CONTRAST = """(() => {
  const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const light = (c) => 0.2126 * part(c[0]) + 0.7152 * part(c[1]) + 0.0722 * part(c[2]);
  const read = (t) => (t.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, low) => top.slice(0, 3).map((v, k) => v * (top[3] ?? 1) + low[k] * (1 - (top[3] ?? 1)));
  const ground = (el) => {
    const own = el ? read(getComputedStyle(el).backgroundColor) : [255, 255, 255];
    return !el || (own[3] ?? 1) === 1 ? own : over(own, ground(el.parentElement));
  };
  const found = new Map(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const el = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !el.checkVisibility() || el.closest("script,style,datalist,option")) continue;
    const style = getComputedStyle(el), isDrawn = el instanceof SVGElement, back = ground(el);
    const ink = over(read(isDrawn ? style.fill : style.color), back), size = parseFloat(style.fontSize);
    const [a, b] = [light(ink), light(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const name = el.tagName + "." + (el.className.baseVal ?? el.className) + " " + style.color;
    if (ratio < least) found.set(name, ratio.toFixed(2));
  }
  return [...found];
})()"""

FOCUS = """(() => {
  const e = document.activeElement, box = e.getBoundingClientRect();
  return [e.id || e.getAttribute("href") || e.className || e.tagName, box.width > 0 && box.top < innerHeight];
})()"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    it = browser.Browser(tmp_path_factory.mktemp("profile"))
    yield it
    it.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    path = folder / "page.html"
    path.write_text(hostile_page(folder), encoding="utf-8")
    return path


@pytest.fixture
def opened(tab, page):
    """The page, freshly opened at the size of a desk's window, in light colours."""
    tab.media("light")
    tab.size(1440)
    tab.open(page)
    return tab


def goto(tab, fragment):
    tab.run(f"location.hash = {json.dumps('#' + fragment)}")
    tab.run(FRAME)


def shown(tab):
    return tab.run('[...document.querySelectorAll("main > section")].filter(s => s.checkVisibility()).map(s => s.id)')


def texts(tab, selector):
    script = f"[...document.querySelectorAll({json.dumps(selector)})].filter(e => e.checkVisibility())"
    return tab.run(script + ".map(e => e.textContent.trim())")


def test_hostile_names_are_inert_and_nothing_complains_or_calls_out(opened):
    for view in VIEWS:
        goto(opened, view)
    for name in EVIL:
        opened.run(f"document.getElementById('find').value = {json.dumps(name)}")
        opened.run("document.getElementById('find').dispatchEvent(new Event('input'))")
        opened.run("new Promise(done => setTimeout(done, 160))")
        opened.run("location.hash = location.hash.replace(/^#[^?]*/, '#found')")
        opened.run(FRAME)
        assert texts(opened, "#h-found") == [name.strip()]
        assert opened.run("document.querySelectorAll('#machine-table tbody tr:not([hidden])').length") == 1
    assert opened.run("window.pwned === undefined && document.querySelectorAll('img').length === 0")
    assert opened.run("document.title").endswith(f"{TITLE} \u2013 fleet report")
    assert opened.complaints() == []
    assert [u for u in opened.requests() if not u.startswith(("file:", "about:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window_and_all_text_can_be_read(opened, scheme):
    opened.media(scheme)
    wrong = []
    for width in (390, 1440):
        opened.size(width)
        for view in VIEWS:
            goto(opened, view)
            wide = opened.run("document.documentElement.scrollWidth")
            pale = opened.run(CONTRAST) if view in {"all", VIEWS[-1]} else []
            if wide > width or pale:
                wrong.append((view, width, wide, pale))
    assert wrong == []
    ground = opened.run("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 60) is (scheme == "dark")


def test_a_text_that_is_too_pale_is_found(opened):
    opened.run("document.querySelector('h1').style.color = '#aaa'")
    assert [name for name, _ in opened.run(CONTRAST)] == ["H1. rgb(170, 170, 170)"]


def test_pages_have_addresses_and_a_way_back(opened):
    assert shown(opened) == ["overview"]
    for name in (*PAGES[1:], PAGES[0]):
        opened.run(f"document.querySelector('nav a[href=\"#{name}\"]').click()")
        opened.run(FRAME)
        assert shown(opened) == [name]
        assert opened.run("document.activeElement.id") == f"h-{name}"
        assert texts(opened, "nav a[aria-current=page]") == [
            opened.run("document.title.split(' \u2013 ')[0]"),
        ]
    opened.run("new Promise(done => { addEventListener('popstate', done, {once: true}); history.back(); })")
    opened.run(FRAME)
    assert shown(opened) == ["making"]
    goto(opened, "all")
    assert shown(opened) == list(PAGES)
    goto(opened, "stops")
    assert shown(opened) == ["faults"]
    goto(opened, "no%ZZsuch?machine=%")
    assert shown(opened) == ["overview"]
    assert opened.complaints() == []


def test_deep_links_hold_page_and_filter(tab, page):
    tab.size(1440)
    tab.open(page, "#alerts?machine=lyon-&status=ONLINE")
    assert shown(tab) == ["alerts"]
    assert tab.run("document.getElementById('find').value") == "lyon-"
    assert tab.run("document.getElementById('state').value") == "status=ONLINE"
    assert tab.run("scrollY") == 0
    tab.run("document.querySelector('nav a[href=\"#machines\"]').click()")
    tab.run(FRAME)
    assert tab.run("location.hash") == "#machines?machine=lyon-&status=ONLINE"
    rows = tab.run("[...document.querySelectorAll('#machine-table tbody tr:not([hidden])')].map(r => r.dataset.m)")
    assert rows
    assert all(name.startswith("lyon-") for name in rows)
    tab.run("document.getElementById('clear').click()")
    tab.run("new Promise(done => setTimeout(done, 20))")
    assert tab.run("location.hash") == "#machines"


def test_a_machine_is_followed_through_every_page(opened):
    goto(opened, "machines")
    name = opened.run("document.querySelector('#machine-table tbody tr:last-child').dataset.m")
    opened.run("document.querySelector('#machine-table tbody tr:last-child a').click()")
    opened.run(FRAME)
    assert opened.run("location.hash") == f"#found?machine={name}"
    assert {"found", "machines", "figures", "twin", "rul", "anomaly"} <= set(shown(opened))
    assert "making" not in shown(opened)
    others = set(texts(opened, "main tbody th, main figcaption [data-name], main .head h3"))
    assert {t.split("Centri")[0].strip() for t in others if t != name} <= {name, ""} | {t for t in others if name in t}
    plot = "document.querySelector('#figures .machine:not([hidden]) .plot')"
    assert opened.run(f"{plot}.querySelectorAll('path').length") >= 6
    assert opened.run("document.querySelector('nav a[href=\"#machines\"] .count').textContent") == "1"
    opened.run(f"{plot}.focus()")
    said = []
    for key, code in (("ArrowRight", 39), ("ArrowRight", 39), ("Escape", 27)):
        opened.press(key, code)
        said.append(opened.run("(document.querySelector('.readout') || {}).textContent"))
    assert re.search(r"2026-01-05 00:00 UTC · [\d.]+ kW · [\d.]+ °C · [\d.]+ mm/s · [A-Z ]+", said[0])
    assert said[1] != said[0]
    assert said[2] == ""


def test_the_pointer_reads_a_figure_made_beforehand(opened):
    goto(opened, "figures")
    where = opened.run("""(() => {
      const svg = document.querySelector('#figures .plot.wide svg');
      svg.scrollIntoView({ block: "center" });
      const b = svg.getBoundingClientRect();
      return [b.left + b.width / 2, b.top + 60]; })()""")
    opened.call("Input.dispatchMouseEvent", type="mouseMoved", x=where[0], y=where[1])
    assert re.match(r"2026-01-0[67] \d\d:\d\d UTC · ", opened.run("document.querySelector('.readout').textContent"))
    left = opened.run("document.querySelector('.cursor').getBoundingClientRect().left")
    assert abs(left - where[0]) < 12
    opened.call("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)
    assert opened.run("document.querySelector('.cursor')") is None


def test_tables_sort_and_say_so(opened):
    goto(opened, "machines")
    heads = texts(opened, "#machine-table thead th")
    column = heads.index("Energy, kWh")
    values = f"[...document.querySelectorAll('#machine-table tbody tr')].map(r => Number(r.cells[{column}].dataset.v))"
    button = f"document.querySelectorAll('#machine-table thead th')[{column}].querySelector('button')"
    for order, falls in (("descending", True), ("ascending", False)):
        opened.run(f"{button}.click()")
        found = opened.run(values)
        assert found == sorted(found, reverse=falls)
        assert opened.run(f"{button}.parentElement.getAttribute('aria-sort')") == order


def test_keys_go_through_the_page_in_order(opened):
    seen = []
    for _ in range(26):
        opened.press("Tab", 9)
        seen.append(opened.run(FOCUS))
    names = [name for name, _ in seen]
    assert names[0] == "#main"
    assert names[1 : len(PAGES) + 1] == [f"#{name}" for name in PAGES]
    assert names[len(PAGES) + 1 : len(PAGES) + 4] == ["#all", "find", "state"]
    assert all(visible for _, visible in seen)
    assert opened.run('document.querySelectorAll(\'[tabindex]:not([tabindex="0"]):not([tabindex="-1"])\').length') == 0
    opened.run("scrollTo(0, 0)")
    opened.run("document.querySelector('.skip').focus()")
    opened.press("Enter", 13, "\r")
    assert opened.run("document.activeElement.id") == "main"
    assert shown(opened) == ["overview"]


def test_print_has_every_page_whatever_is_on_the_screen(opened):
    goto(opened, "rul")
    opened.size(1039)  # what a page of A4 across leaves between its margins
    opened.media("dark", "print")
    assert opened.run("document.documentElement.scrollWidth") <= 1039
    assert shown(opened) == list(PAGES)
    assert opened.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    made = opened.call("Page.printToPDF", printBackground=True, generateDocumentOutline=True, preferCSSPageSize=True)
    data = base64.b64decode(made["data"])
    opened.media("light")
    assert data.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 5
    assert len(data) > 50_000


def test_without_scripts_everything_is_there(opened, page):
    opened.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened.open(page)
        assert shown(opened) == list(PAGES)
        assert texts(opened, "#controls, .live") == []
    finally:
        opened.call("Emulation.setScriptExecutionDisabled", value=False)


def test_a_thousand_machines_stay_quick(tab, tmp_path):
    path = tmp_path / "thousand.html"
    path.write_text(thousand_page(), encoding="utf-8")
    assert path.stat().st_size < 8_000_000
    tab.size(1440)
    tab.call("Performance.enable", timeDomain="threadTicks")

    def busy():
        tab.run(FRAME)
        return next(m["value"] for m in tab.call("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration")

    tab.open(path)
    assert (
        busy() < 2.5
    )  # CPU-seconds of the page's thread, measured 0.2; a table that is laid out anew per row takes 10
    for fragment, n in (("machines", 1000), ("machines?machine=machine-0500", 1), ("machines?state=WARNING", None)):
        before = busy()
        goto(tab, fragment)
        assert busy() - before < 2.0, fragment
        rows = tab.run("document.querySelectorAll('#machine-table tbody tr:not([hidden])').length")
        assert rows == (n or tab.run("[...document.querySelectorAll('#state option')].find(o => o.value === "
                                     "'state=WARNING').textContent.match(/\\d+/)[0] * 1"))  # fmt: skip
    assert tab.run("document.querySelector('#figures .plot path')") is None or len(shown(tab)) == 1
