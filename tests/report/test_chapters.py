"""Chapters that later stages add to the report."""

from markupsafe import Markup

from nexova_sim.report import chapters
from nexova_sim.report.chapters import Chapter, make_chapters
from nexova_sim.report.words import environment


def test_only_what_is_there_becomes_a_chapter_in_the_order_of_the_registry(tmp_path, monkeypatch):
    made = {
        name: (lambda path, name=name: Chapter(name, name.title(), Markup(f"<p>{path.name}</p>"))) for name in "bac"
    }
    monkeypatch.setattr(chapters, "CHAPTERS", made)
    found = make_chapters({"a": tmp_path / "x", "b": tmp_path / "y", "dataset": tmp_path})
    assert [c.id for c in found] == ["b", "a"] and found[1].html == "<p>x</p>"


def test_templates_escape_what_they_are_given():
    text = environment().from_string("{{ name }} {{ 1234 | number }}").render(name="<b>")
    assert text == "&lt;b&gt; 1\u202f234"
