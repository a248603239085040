"""The plot of the downloads, as SVG: for each load, how fast each server is and what a GiB costs it."""

from __future__ import annotations

from html import escape

from rounds import Figure, Row, at_once, cost, speed

WIDTH, LEFT, GAP, LINE, TOP = 980, 190, 60, 20, 64
BAR = (WIDTH - LEFT - 2 * GAP) // 2
OURS, THEIRS, LIMIT = "#c2410c", "#475569", "#cbd5e1"
LIMITS = ("the upstream itself", "SHA-512, one core")
FIGURES: tuple[Figure, Figure] = (speed, cost)
NAMES = {
    "static": "a file of its own",
    "copied": "a file of its own, copied by the client",
    "proxied": "a file of an upstream",
}


def downloads(rows: list[Row]) -> str:
    """Two columns of bars: speed on the left, where longer is better, and cost on the right, where shorter is."""
    parts = [
        _text(LEFT, 24, "GiB per second (longer is better)", weight="bold"),
        _text(LEFT + BAR + GAP, 24, "processor seconds per GiB (shorter is better)", weight="bold"),
        _text(LEFT, 42, "medians; the thin line is from the lowest to the highest", size=11),
    ]
    scales = [max(figure for row in rows if (figure := row.most(what))) for what in FIGURES]
    y, group = TOP, ("", 0)
    for row in rows:
        if group != (row.item, row.streams):
            group = (row.item, row.streams)
            y += 14
            parts.append(_text(8, y + 14, f"{NAMES[row.item]}, {at_once(row.streams)}", weight="bold"))
            y += LINE + 2
        parts.append(_text(LEFT - 8, y + 14, row.server, anchor="end"))
        parts += _bar(LEFT, y, row, speed, scales[0])
        parts += _bar(LEFT + BAR + GAP, y, row, cost, scales[1])
        y += LINE
    size = f'width="{WIDTH}" height="{y + 16}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="DejaVu Sans, sans-serif">'
    return "\n".join([head, f'<rect {size} fill="white"/>', *parts, "</svg>"]) + "\n"


def _bar(x: int, y: int, row: Row, what: Figure, scale: float) -> list[str]:
    middle = row.of(what)
    if middle is None:
        return []
    figures = [figure for sample in row.samples if (figure := what(sample)) is not None]
    long, low, high = (figure / scale * BAR for figure in (middle, min(figures), max(figures)))
    colour = OURS if row.server.startswith("Portico") else LIMIT if row.server in LIMITS else THEIRS
    return [
        f'<rect x="{x}" y="{y + 3}" width="{long:.1f}" height="{LINE - 6}" fill="{colour}"/>',
        f'<path d="M{x + low:.1f} {y + LINE - 1.5:.1f}H{x + high:.1f}" stroke="black" stroke-width="1"/>',
        _text(x + round(max(long, high)) + 5, y + 14, f"{middle:.2f}", size=11),
    ]


def _text(x: int, y: int, text: str, size: int = 12, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
    )
