"""Small pictures as inline SVG: a curve in a square, a strip of cells. Colours are variables of the page's style."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

SIDE = 240
_PAD = 34


def _spot(x: float, y: float) -> str:
    return f"{_PAD + x * (SIDE - _PAD - 8):.1f},{(1.0 - y) * (SIDE - _PAD - 8) + 8:.1f}"


def square(curves: Sequence[tuple[str, Sequence[float], Sequence[float], bool]], x_name: str, y_name: str,
           label: str, has_diagonal: bool = False) -> Markup:  # fmt: skip
    """Curves (colour variable, x and y in 0..1, whether their points are marked) in a square from 0 to 1."""
    parts = []
    for k in range(5):
        at = k / 4.0
        parts.append(f'<polyline points="{_spot(at, 0)} {_spot(at, 1)}" fill="none" stroke="var(--line)"/>')
        parts.append(f'<polyline points="{_spot(0, at)} {_spot(1, at)}" fill="none" stroke="var(--line)"/>')
        x, y = _spot(at, 0).split(",")
        parts.append(f'<text x="{x}" y="{float(y) + 14:.1f}" text-anchor="middle" class="pl">{at:g}</text>')
        x, y = _spot(0, at).split(",")
        parts.append(f'<text x="{float(x) - 5:.1f}" y="{float(y) + 4:.1f}" text-anchor="end" class="pl">{at:g}</text>')
    if has_diagonal:
        parts.append(f'<polyline points="{_spot(0, 0)} {_spot(1, 1)}" stroke="var(--muted)" stroke-dasharray="4 4"/>')
    for color, xs, ys, is_marked in curves:
        spots = [_spot(min(1.0, max(0.0, x)), min(1.0, max(0.0, y))) for x, y in zip(xs, ys, strict=True)]
        parts.append(f'<polyline points="{" ".join(spots)}" fill="none" stroke="var({color})" stroke-width="2"/>')
        for spot in spots if is_marked else ():
            x, y = spot.split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="var({color})"/>')
    middle = _PAD + (SIDE - _PAD) / 2
    parts.append(f'<text x="{middle}" y="{SIDE + 8}" text-anchor="middle" class="pl">{escape(x_name)}</text>')
    parts.append(f'<text x="10" y="{middle - _PAD}" text-anchor="middle" class="pl" '
                 f'transform="rotate(-90 10 {middle - _PAD})">{escape(y_name)}</text>')  # fmt: skip
    return Markup(
        f'<svg class="pl-square" viewBox="0 0 {SIDE} {SIDE + 14}" role="img" aria-label="{escape(label)}">'
        + "".join(parts) + "</svg>")  # fmt: skip


CSS = ".pl{font-size:10px;fill:var(--muted)}.pl-square{display:block;width:100%;max-width:340px}"


def cells(classes: Sequence[int], colors: Sequence[str], label: str) -> Markup:
    """A strip of cells, one per class number: 0 is left empty, k takes the k-th colour; equal ones are joined."""
    n = max(1, len(classes))
    parts, start = [], 0
    for k in range(1, len(classes) + 1):
        if k == len(classes) or classes[k] != classes[start]:
            if classes[start]:
                color = colors[classes[start] - 1]
                parts.append(f'<rect x="{1000 * start / n:.1f}" y="0" width="{1000 * (k - start) / n:.1f}" height="10" '
                             f'fill="var({color})"/>')  # fmt: skip
            start = k
    return Markup(
        f'<svg class="pl-strip" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">' + "".join(parts) + "</svg>")  # fmt: skip
