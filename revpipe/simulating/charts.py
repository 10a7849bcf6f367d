"""Charts as SVG, written by hand: no library, no script, no network. Colours are classes that the page sets."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

WIDTH: Final = 760
LABEL: Final = 220
BAR: Final = 13
ROW: Final = 42
Pair = tuple[int, int]


def pairs(title: str, rows: Sequence[tuple[str, Pair]]) -> str:
    """Two bars for each label, before over after."""
    most = max((max(pair) for _, pair in rows), default=0) or 1
    scale = (WIDTH - LABEL - 80) / most
    parts = []
    for number, (label, pair) in enumerate(rows):
        top = 4 + number * ROW
        parts.append(_text(LABEL - 12, top + BAR + 6, _short(label, 30), "end"))
        for place, (name, value) in enumerate(zip(("before", "after"), pair, strict=True)):
            y = top + place * (BAR + 3)
            parts.append(_rect(LABEL, y, max(value * scale, 1.5) if value else 0, BAR, name))
            parts.append(_text(LABEL + value * scale + 8, y + BAR - 2.5, f"{value:,}", css="small"))
    return _svg(title, len(rows) * ROW + 4, parts)


def columns(title: str, days: Sequence[tuple[str, Pair]]) -> str:
    """Two columns for each day, before beside after."""
    most = max((max(pair) for _, pair in days), default=0)
    most += most % 2 or 2 * (not most)  # Half of it is a count as well.
    high, left = 150, 44
    step = (WIDTH - left - 8) / max(len(days), 1)
    wide = min(step * 0.38, 18)
    parts = [f'<line class="axis" x1="{left}" x2="{WIDTH}" y1="{high + 10}" y2="{high + 10}"/>']
    for share in (0.5, 1):
        y = 10 + high * (1 - share)
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 8, y + 4, f"{most * share:,.0f}", "end", "small"))
    every = max(1, -(-len(days) // 12))
    for number, (day, pair) in enumerate(days):
        middle = left + (number + 0.5) * step
        for place, (name, value) in enumerate(zip(("before", "after"), pair, strict=True)):
            tall = high * value / most
            parts.append(_rect(middle + (place - 1) * (wide + 1), 10 + high - tall, wide, tall, name))
        if number % every == 0:
            parts.append(_text(middle, high + 28, day[5:], "middle", "small"))
    return _svg(title, high + 36, parts)


def shares(title: str, rows: Sequence[tuple[str, Mapping[str, int]]], words: Mapping[str, str]) -> str:
    """One bar of full width for each label, cut by kind; kinds of no signal at all are left out of the legend."""
    parts = []
    wide = WIDTH - 80
    for number, (label, kinds) in enumerate(rows):
        top, x, whole = 4 + number * 38, 80.0, sum(kinds.values()) or 1
        parts.append(_text(68, top + 19, label, "end"))
        for kind in words:
            part = wide * kinds.get(kind, 0) / whole
            parts.append(_rect(x, top, part, 28, f"kind-{kind}"))
            if part > 46:
                parts.append(_text(x + part / 2, top + 18.5, f"{kinds[kind] / whole:.1%}", "middle", "inside"))
            x += part
    y, x = 4 + len(rows) * 38 + 14, 80.0
    for kind, word in words.items():
        if any(kinds.get(kind) for _, kinds in rows):
            parts.append(_rect(x, y - 10, 12, 12, f"kind-{kind}"))
            parts.append(_text(x + 18, y, word, css="small"))
            x += 34 + 6.6 * len(word)
    return _svg(title, y + 8, parts)


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _rect(x: float, y: float, wide: float, high: float, css: str) -> str:
    return f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="2"/>'


def _text(x: float, y: float, words: str, anchor: str = "start", css: str = "label") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
