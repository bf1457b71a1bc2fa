"""The report as GitHub Markdown, made from its page: what the page says, no chapter can leave out here.

Figures become the words that describe them, rows that the page shows only on demand are left out, and text from data
is escaped, so that no name can become a link, markup or another column.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple

_VOID = {"meta", "img", "input", "br", "link", "hr"}
_BLOCKS = {"article", "caption", "dd", "details", "div", "dl", "dt", "figcaption", "figure", "footer", "form", "h1",
           "h2", "h3", "header", "li", "main", "nav", "p", "pre", "section", "summary", "svg", "table",
           "ul"}  # fmt: skip
_LEFT_OUT = {"head", "script", "style", "nav", "form", "button", "datalist"}
_LEFT_OUT_CLASSES = {"live", "skip", "legend", "narrow", "defs", "bar"}
_SIGNS = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)")
_STARTS = re.compile(r"^([#+\->=]|\d+[.)])(?=\s|$|[-=#])")
# Not the thin space, which holds the digits of a number together.
_SPACE = re.compile(r"[ \t\r\n\f\v\x85\xa0\u2028\u2029]+")


class Node(NamedTuple):
    """An element of the page: its name, attributes and what is inside, text or elements."""

    tag: str
    attributes: dict[str, str]
    inside: list[Node | str]


class _Reader(HTMLParser):
    """Builds the tree; the page is well-formed, which its tests check."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("", {}, [])]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, [])
        self.open[-1].inside.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Node(tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID and len(self.open) > 1:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is: one line, no signs that mean something."""
    text = _SPACE.sub(" ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SIGNS.sub(lambda sign: "\\" + sign[0], text)


def _is_left_out(node: Node) -> bool:
    classes = set(node.attributes.get("class", "").split())
    return (node.tag in _LEFT_OUT or bool(classes & _LEFT_OUT_CLASSES) or "hidden" in node.attributes
            or node.attributes.get("aria-hidden") == "true")  # fmt: skip


def _is_picture(node: Node) -> bool:
    return node.attributes.get("role") == "img" and "aria-label" in node.attributes


def _inline(node: Node | str) -> str:
    """What is inside as one line of escaped text."""
    if isinstance(node, str):
        return escape_markdown(node)
    if _is_left_out(node):
        return ""
    if _is_picture(node):
        return f" {escape_markdown(node.attributes['aria-label'])} "
    if node.tag == "code":
        return _code("".join(part for part in node.inside if isinstance(part, str)))
    text = "".join(_inline(part) for part in node.inside)
    if node.tag == "small" and text.strip():
        return f" ({text.strip()}) "
    # What only its place on the page sets apart is set apart by a space.
    return f" {text} " if node.tag in {"span", "b", "dt", "dd", "i"} or node.tag in _BLOCKS else text


def _line(node: Node | str) -> str:
    text = re.sub(r" +", " ", _inline(node)).strip()
    text = re.sub(r" (?=[,.;:)](?:\s|$))", "", text)
    # A sign that would start a list or a heading: its last character is what makes it one.
    return _STARTS.sub(lambda start: f"{start[0][:-1]}\\{start[0][-1]}", text)


def _code(text: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence} {_SPACE.sub(' ', text)} {fence}" if "`" in text else f"`{_SPACE.sub(' ', text)}`"


def _find(node: Node, tag: str) -> list[Node]:
    """Elements called ``tag`` below a node, in order, none of them left out."""
    found = []
    for part in node.inside:
        if isinstance(part, Node) and not _is_left_out(part):
            found += [part] if part.tag == tag else _find(part, tag)
    return found


def _table(node: Node) -> list[str]:
    """A table with its caption; every row has as many cells as the head."""
    rows = [[part for part in row.inside if isinstance(part, Node) and part.tag in {"th", "td"}]
            for row in _find(node, "tr")]  # fmt: skip
    made = [f"*{text}*" for caption in _find(node, "caption") if (text := _line(caption))]
    if not rows:
        return made
    head, body = rows[0], rows[1:]
    marks = ["---:" if "n" in cell.attributes.get("class", "").split() else "---" for cell in head]
    lines = ["| " + " | ".join(map(_line, head)) + " |", "| " + " | ".join(marks) + " |"]
    lines += ["| " + " | ".join(map(_line, row)) + " |" for row in body]
    return [*made, "\n".join(lines)]


def _pre(node: Node) -> list[str]:
    text = "".join(part for part in node.inside if isinstance(part, str)).strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [f"{fence}\n{text}\n{fence}"]


def _items(node: Node) -> list[str]:
    if node.tag == "ul":
        lines = [f"- {_line(item)}" for item in _find(node, "li")]
    else:
        pairs = zip(_find(node, "dt"), _find(node, "dd"), strict=True)
        lines = [f"- **{_line(name)}**: {_line(value)}" for name, value in pairs]
    return ["\n".join(lines)] if lines else []


def _block(node: Node) -> list[str]:
    """An element as blocks of Markdown."""
    if _is_left_out(node):
        return []
    if _is_picture(node):
        return [f"*Figure: {escape_markdown(node.attributes['aria-label']).strip()}*"]
    if node.tag in {"h1", "h2", "h3"}:
        return [f"{'#' * int(node.tag[1])} {_line(node)}"]
    made = {"table": _table, "pre": _pre, "ul": _items, "dl": _items}.get(node.tag)
    if made is not None:
        return made(node)
    blocks: list[str] = []
    inline: list[Node | str] = []
    for part in [*node.inside, None]:
        if part is not None and (isinstance(part, str) or (part.tag not in _BLOCKS and not _find_block(part))):
            inline.append(part)
            continue
        text = _line(Node("", {}, inline))
        blocks += [text] if text else []
        inline = []
        blocks += _block(part) if isinstance(part, Node) else []
    return blocks


def _find_block(node: Node) -> bool:
    return any(isinstance(part, Node) and (part.tag in _BLOCKS or _find_block(part)) for part in node.inside)


def to_markdown(page: str) -> str:
    """The page as Markdown: headings, paragraphs, lists and tables in its order; ends with a newline."""
    return "\n\n".join(_block(_Reader(page).open[0])) + "\n"
