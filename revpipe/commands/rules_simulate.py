"""`revpipe rules simulate` and `share`: what rules would have decided on the signals of the last days."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from revpipe.commands.context import as_json
from revpipe.commands.rule_books import FILE, Trying, options, trying
from revpipe.rules.book import RuleBook
from revpipe.simulating.run import Simulated
from revpipe.simulating.run import simulate as run
from revpipe.simulating.sums import Sums
from revpipe.story.words import clock
from revpipe.terminal import say

WORDS = {
    "acts": "decided by rules, with something to do",
    "suppressed": "decided by rules, all of it suppressed",
    "nothing_due": "decided by rules: nothing is due",
    "left_open": "left open by the rules, for the LLM",
}


@click.command()
@click.argument("file", required=False, type=FILE)
@options
def simulate(file: Path | None, since: datetime, corpus: Path | None, jobs: int | None, *, json_: bool) -> None:
    """What FILE, or config/rules.yaml, would have decided on the signals of the last days.

    Each is judged with its stored context, at the time at which it was decided, with the cooldowns and open actions
    that would have come about. Only reads: nothing is planned, sent or queued.
    """
    with trying(since, corpus, jobs) as on:
        book = on.book(str(file) if file else None)
        found, seconds = _run(on, book)
        if json_:
            as_json({"rules_version": book.version, **on.about(), **_as_dict(found), "seconds": seconds})
            return
        _heading(on, book, found, seconds)
        _kinds(found.sums)
        _actions(found.sums)


@click.command()
@click.argument("file", required=False, type=FILE)
@options
def share(file: Path | None, since: datetime, corpus: Path | None, jobs: int | None, *, json_: bool) -> None:
    """Who decides how many signals, by event: rules (nothing due included), or the LLM that they are left to."""
    with trying(since, corpus, jobs) as on:
        book = on.book(str(file) if file else None)
        found, seconds = _run(on, book)
        told = found.sums.as_dict()
        if json_:
            names = ("signals", "share", "decisions", "events")
            as_json({"rules_version": book.version, **on.about(), **{name: told[name] for name in names}})
            return
        _heading(on, book, found, seconds)
        _kinds(found.sums)
        say(f"\n{'event':<30}{'signals':>9}{'rules':>9}{'LLM':>9}")
        for event, kinds in told["events"].items():
            total, left = sum(kinds.values()), kinds["left_open"]
            say(f"{event:<30}{total:>9}{_percent(total - left, total):>9}{_percent(left, total):>9}")


def _run(on: Trying, book: RuleBook) -> tuple[Simulated, float]:
    began = time.monotonic()
    found = run(on.source(book), on.trial(book), on.jobs)
    return found, round(time.monotonic() - began, 1)


def _as_dict(found: Simulated) -> dict[str, Any]:
    return {**found.sums.as_dict(), "unreadable": found.unreadable}


def _heading(on: Trying, book: RuleBook, found: Simulated, seconds: float) -> None:
    say(f"rules {book.version} on {on.where}, {clock(on.since)} to {clock(on.until)}")
    say(f"{found.sums.signals} signals judged in {seconds:g} s")
    others = [f"{count} {why.replace('_', ' ')}" for why, count in on.left_out.items()]
    if others:
        say(f"not judged, for no rule sees them: {', '.join(others)}")
    if found.unreadable:
        say(f"not judged, written by a newer release: {found.unreadable}")


def _kinds(sums: Sums) -> None:
    say()
    for kind, words in WORDS.items():
        count = sums.counts["kind", kind]
        say(f"  {words:<42}{count:>9}  {_percent(count, sums.signals):>6}")
    say(f"  {'share decided by rules':<42}{'':>9}  {_percent(sums.signals - sums.left_open, sums.signals):>6}")


def _actions(sums: Sums) -> None:
    rows = sums.actions()
    if not rows:
        say("\nno rule would have wanted anything done")
        return
    width = max(len(row["rule"]) for row in rows) + 2
    say(f"\n{'rule':<{width}}{'action':<18}{'planned':>8}{'to approve':>12}  suppressed")
    for row in rows:
        reasons = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in row["suppressed"].items())
        say(f"{row['rule']:<{width}}{row['type']:<18}{row['planned']:>8}{row['approvals']:>12}  {reasons or '-'}")
    whole = ", ".join(f"{count} {why.replace('_', ' ')}" for why, count in sums.reasons().items())
    say(f"{'all':<{width}}{'':<18}{sums.total('action'):>8}{sums.total('approval'):>12}  {whole or '-'}")


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
