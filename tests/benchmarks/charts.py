"""Bars as SVG, written by hand: they need no library, no script and no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

WIDTH, BAR, GAP, LEFT, RIGHT, TOP = 720, 22, 10, 230, 110, 44
COLOURS: Final = {"revpipe": "#2457a6", "celery": "#7a8b2a", "dbos": "#a6632d", "bare Celery chain": "#888888"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: a median, and the quartiles as a thin line over its end."""

    label: str
    colour: str
    low: float
    value: float
    high: float
    text: str


def bars(title: str, rows: Sequence[Bar], mark: float | None = None) -> str:
    """A chart of horizontal bars from zero; `mark` draws a dashed line, such as a target."""
    most = max([row.high for row in rows] + ([mark] if mark else [])) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + len(rows) * (BAR + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold" fill="#222222">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += _bar(row, TOP + number * (BAR + GAP), scale)
    if mark:
        at = LEFT + mark * scale
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 8}" y2="{height - GAP}" stroke="#c02020" '
            f'stroke-dasharray="5 4"/><text x="{at:.1f}" y="{TOP - 12}" fill="#c02020" text-anchor="middle" '
            f'font-size="11">{mark:g}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _bar(row: Bar, y: float, scale: float) -> list[str]:
    middle, end = y + BAR / 2, LEFT + row.value * scale
    low, high = LEFT + row.low * scale, LEFT + row.high * scale
    return [
        f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end" fill="#222222">{escape(row.label)}</text>',
        f'<rect x="{LEFT}" y="{y}" width="{max(1.0, end - LEFT):.1f}" height="{BAR}" fill="{row.colour}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#111111" stroke-width="2"/>',
        f'<text x="{max(end, high) + 6:.1f}" y="{middle + 4:.1f}" fill="#222222">{escape(row.text)}</text>',
    ]
