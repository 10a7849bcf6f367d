"""`revpipe rules diff`: which signals of the last days two books of rules decide otherwise, and why."""

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from revpipe.commands.context import as_json
from revpipe.commands.rule_books import IN_USE, Trying, last_in_use, options, trying
from revpipe.rules.book import RuleBook
from revpipe.simulating.changes import Change, Side
from revpipe.simulating.report import Report, page
from revpipe.simulating.run import EFFECTS, compare
from revpipe.story.words import clock
from revpipe.terminal import say


@click.command()
@click.argument("names", nargs=-1, metavar="[OLD] [NEW]")
@options
@click.option(
    "--html", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write a report to forward."
)
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Signals to list in the table.")
def diff(
    names: tuple[str, ...],
    since: datetime,
    corpus: Path | None,
    jobs: int | None,
    html: Path | None,
    limit: int,
    *,
    json_: bool,
) -> None:
    """Which signals NEW would decide otherwise than OLD, with the term that makes the difference.

    Each is a rules file or the id of a version that once decided. With one name, that is NEW, and OLD is
    config/rules.yaml; with none, NEW is config/rules.yaml, and OLD the version that decided last.
    """
    if len(names) > 2:
        raise click.UsageError("name two files or versions at most: OLD NEW")
    if html and not html.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {html.parent} to write {html.name} into")
    with trying(since, corpus, jobs) as on:
        (old_name, old), (new_name, new) = _books(on, names)
        began = time.monotonic()
        found = compare(on.source(old, new), on.trial(old), on.trial(new), on.jobs)
        seconds = round(time.monotonic() - began, 1)
        report = Report(old_name, old.version, new_name, new.version, on.where, on.since, on.until, found)
    if html:
        html.write_text(page(report), encoding="utf-8")
    if json_:
        as_json({**on.about(), **_as_dict(report), "seconds": seconds})
        return
    _table(report, seconds, limit)
    if html:
        say(f"\nreport written to {html}")


def _books(on: Trying, names: tuple[str, ...]) -> tuple[tuple[str, RuleBook], tuple[str, RuleBook]]:
    if len(names) == 2:
        return (names[0], on.book(names[0])), (names[1], on.book(names[1]))
    if names:
        return (IN_USE, on.book(None)), (names[0], on.book(names[0]))
    version = last_in_use(on.tx) if on.tx else None
    if version is None:
        raise click.UsageError("no rules have decided anything here yet; name a file to compare with config/rules.yaml")
    return (f"version {version}", on.book(version)), (IN_USE, on.book(None))


def _as_dict(report: Report) -> dict[str, Any]:
    found = report.found
    return {
        "old": {"name": report.old, "version": report.old_version, **found.before.as_dict()},
        "new": {"name": report.new, "version": report.new_version, **found.after.as_dict()},
        "changed": found.changed,
        "rules": _rule_rows(report),
        "changes": [one.as_dict() for one in found.changes],
        "told": len(found.changes),
        "unreadable": found.unreadable,
    }


def _rule_rows(report: Report) -> list[dict[str, Any]]:
    """One record for each rule that made a difference, the one with most signals first."""
    return [
        {
            "rule": rule,
            "signals": counts["signals"],
            **{name: [counts[f"{name}_before"], counts[f"{name}_after"]] for name in EFFECTS},
        }
        for rule, counts in report.rules()
    ]


def _table(report: Report, seconds: float, limit: int) -> None:
    found = report.found
    say(f"old: {report.old} ({report.old_version})   new: {report.new} ({report.new_version})")
    say(
        f"{report.where}, {clock(report.since)} to {clock(report.until)}:"
        f" {found.before.signals} signals, each judged twice in {seconds:g} s"
    )
    say(f"\n{'':<34}{'before':>9}{'after':>9}{'':>3}")
    for name, (before, after) in report.totals().items():
        say(f"{name:<34}{before:>9}{after:>9}{_signed(after - before):>9}")
    if not found.changed:
        same = ": both files hold the same rules" if report.old_version == report.new_version else ""
        say(f"\nno signal would be decided otherwise{same}")
        return
    rows = _rule_rows(report)
    width = max(28, *(len(row["rule"]) + 2 for row in rows))
    say(f"\n{'rule':<{width}}{'signals':>8}{'actions':>14}{'approvals':>14}{'LLM calls':>14}")
    for row in rows:
        effects = "".join(f"{_arrow(row[name]):>14}" for name in ("actions", "approvals", "llm_calls"))
        say(f"{row['rule']:<{width}}{row['signals']:>8}{effects}")
    say()
    for change in found.changes[:limit]:
        _change(change)
    if found.changed > limit:
        say(f"and {found.changed - limit} more; --limit or --json shows them")


def _change(change: Change) -> None:
    say(f"{change.signal_id}  {change.event}  {change.subject}  {clock(change.at)}")
    say(f"  {side(change.before)} → {side(change.after)}")
    for cause in change.causes:
        values = ", ".join(f"{name} = {value!r}"[:80] for name, value in cause.values.items())
        say(f"  {cause.rule}: {cause.text}{f'   [{values}]' if values else ''}")


def side(one: Side) -> str:
    """One decision in a few words."""
    words = [
        f"{action['type']}{'' if action['state'] == 'planned' else ' suppressed'}{' (asks)' if action['asks'] else ''}"
        for action in one.actions
    ]
    if one.kind == "left_open":
        words.append("left to the LLM")
    return ", ".join(words) or "nothing due"


def _arrow(pair: list[int]) -> str:
    return f"{pair[0]} → {pair[1]}"


def _signed(number: int) -> str:
    return f"{number:+d}" if number else "="
