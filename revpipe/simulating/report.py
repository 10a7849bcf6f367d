"""A comparison of two books as one HTML page to forward: nothing is loaded from anywhere, every text is escaped."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final

from revpipe.simulating import charts
from revpipe.simulating.changes import Cause, Change, Side
from revpipe.simulating.run import Compared
from revpipe.simulating.style import STYLE
from revpipe.story.words import clip, clock, value

KINDS: Final = {
    "acts": "something to do",
    "suppressed": "suppressed",
    "nothing_due": "nothing due",
    "left_open": "left to the LLM",
}
MOST_RULES: Final = 15
MOST_SIGNALS: Final = 300
"""Signals that the page lists: more would make a page that nobody reads and no mail carries."""
_HOW: Final = (
    "How this was found: each signal of the period was judged again with the context that was stored when it came, at"
    " the time at which it was decided, once by each set of rules. Cooldowns and open actions are those that each set"
    " would have brought about; an action that really took place ends as it really did, any other counts as carried"
    " out. Nothing was sent, planned or changed for it."
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was compared on which signals, and what was found."""

    old: str
    old_version: str
    new: str
    new_version: str
    where: str
    since: datetime
    until: datetime
    found: Compared

    def totals(self) -> dict[str, tuple[int, int]]:
        """The sums before and after, by what they count."""
        before, after = self.found.before, self.found.after
        return {
            "actions": (before.total("action"), after.total("action")),
            "of these, a person must approve": (before.total("approval"), after.total("approval")),
            "actions suppressed": (before.total("suppressed"), after.total("suppressed")),
            "signals left to the LLM": (before.left_open, after.left_open),
        }

    def rules(self) -> list[tuple[str, Any]]:
        """The rules that made a difference, with their counts, the one with most signals first."""
        return sorted(self.found.by_rule.items(), key=lambda pair: (-pair[1]["signals"], pair[0]))


def page(report: Report) -> str:
    """The whole page."""
    body = "".join(part for part in _parts(report) if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>What the new rules change</title>'
        f"<style>{STYLE}</style></head>\n<body><main>{body}</main></body></html>\n"
    )


def _parts(report: Report) -> Iterator[str]:
    found = report.found
    signals = found.before.signals
    share = f" ({found.changed / signals:.1%})" if signals else ""
    yield "<h1>What the new rules change</h1>"
    yield (
        f'<p class="lead"><strong>{found.changed:,} of {signals:,} signals{share}</strong> would be decided otherwise.'
        f'</p><p class="about">{escape(report.where)}, {clock(report.since)} to {clock(report.until)}<br>'
        f"before: {escape(report.old)} <code>{escape(report.old_version)}</code><br>"
        f"after: {escape(report.new)} <code>{escape(report.new_version)}</code></p>"
    )
    yield _tiles(report)
    kinds = [(word, sums.by("kind")) for word, sums in (("before", found.before), ("after", found.after))]
    yield _figure("How signals are decided", charts.shares("Shares of signals by how they are decided", kinds, KINDS))
    if report.rules():
        rows = [(rule, (counts["actions_before"], counts["actions_after"])) for rule, counts in report.rules()]
        title = "Actions of the changed signals, by the rule that made the difference"
        yield _figure(title, _LEGEND + charts.pairs(title, rows[:MOST_RULES]))
    yield _figure("Actions a day", _LEGEND + charts.columns("Actions a day, before and after", _days(report)))
    yield _rules(report)
    yield _signals(found.changes[:MOST_SIGNALS], found.changed)
    yield f'<p class="how">{_HOW}</p>'


def _tiles(report: Report) -> str:
    tiles = ""
    for name, (before, after) in report.totals().items():
        difference = f"{after - before:+,}".replace("-", "−") if after != before else "unchanged"
        tiles += (
            f'<div class="tile"><div class="name">{escape(name)}</div><div class="now">{after:,}</div>'
            f'<div class="was">before {before:,} · {difference}</div></div>'
        )
    return f'<section class="tiles">{tiles}</section>'


_LEGEND: Final = '<p class="legend"><i class="before"></i> before <i class="after"></i> after</p>'


def _figure(title: str, drawn: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{drawn}</section>"


def _days(report: Report) -> list[tuple[str, tuple[int, int]]]:
    days = sorted({*report.found.before.by("day"), *report.found.after.by("day")})
    sides = (report.found.before, report.found.after)
    return [(day, (sides[0].counts["day", day, "actions"], sides[1].counts["day", day, "actions"])) for day in days]


def _rules(report: Report) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(rule)}</code></td><td>{counts['signals']:,}</td>"
        + "".join(
            _pair(counts[f"{name}_before"], counts[f"{name}_after"])
            for name in ("actions", "approvals", "suppressed", "llm_calls")
        )
        + "</tr>"
        for rule, counts in report.rules()
    )
    if not rows:
        return ""
    heads = ("rule", "signals", "actions", "approvals", "suppressed", "LLM calls")
    return f"<section><h2>By rule</h2>{_table(heads, rows, 'numbers')}</section>"


def _pair(before: int, after: int) -> str:
    return f"<td>{before:,} → {after:,}</td>" if before != after else f"<td><em>{after:,}</em></td>"


def _signals(changes: Sequence[Change], changed: int) -> str:
    if not changes:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(one.signal_id)}</code><br>{escape(one.event)}<br>{escape(clip(one.subject, 60))}"
        f'<br><span class="when">{clock(one.at)}</span></td>'
        f"<td>{_side(one.before)}</td><td>{_side(one.after)}</td>"
        f"<td>{''.join(_cause(cause) for cause in one.causes)}</td></tr>"
        for one in changes
    )
    more = f"<p>The first {len(changes):,} of {changed:,}; --json has more.</p>" if changed > len(changes) else ""
    heads = ("signal", "before", "after", "what made the difference")
    return f"<section><h2>Signals decided otherwise</h2>{more}{_table(heads, rows, 'signals')}</section>"


def _table(heads: Sequence[str], rows: str, css: str) -> str:
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return f'<div class="wide"><table class="{css}"><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def _side(side: Side) -> str:
    words = []
    for action in side.actions:
        held = "" if action["state"] == "planned" else f" <em>suppressed, {escape(str(action['reason']))}</em>"
        asks = " <em>asks a person</em>" if action["asks"] else ""
        words.append(f"{escape(action['type'])}{asks}{held}")
    if side.kind == "left_open":
        words.append("left to the LLM")
    return "<br>".join(words) or "nothing due"


def _cause(cause: Cause) -> str:
    values = ", ".join(f"{name} = {value(_rounded(found))}" for name, found in cause.values.items())
    told = f'<br><span class="values">{escape(values)}</span>' if values else ""
    return f"<p><code>{escape(cause.rule)}</code> {escape(clip(cause.text, 300))}{told}</p>"


def _rounded(found: Any) -> Any:
    return round(found, 2) if isinstance(found, float) else found
