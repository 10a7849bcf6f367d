"""`revpipe rules`: the rules file checked and tried on the past, its versions, and what rules in shadow would do."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from config.settings import load
from revpipe import rule_versions, shadow_report
from revpipe.bootstrap import load_rules
from revpipe.commands.context import as_json, ledger
from revpipe.commands.moments import MOMENT
from revpipe.commands.rules_diff import diff
from revpipe.commands.rules_simulate import share, simulate
from revpipe.commands.rules_suggest import suggest_rules
from revpipe.db import transaction
from revpipe.rules import trials
from revpipe.rules.book import RuleBook
from revpipe.rules.rule import SHADOW
from revpipe.story.words import clock
from revpipe.terminal import say


@click.group()
def rules() -> None:
    """The rules that decide."""


@rules.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "json_", is_flag=True, help="For machines.")
def check(file: Path | None, *, json_: bool) -> None:
    """Check FILE, or config/rules.yaml, as every process does at its start, and run the tests beside its rules.

    A fault in the file ends with 2, a test that fails with 1.
    """
    book = load_rules(load(), file)
    count, failures = trials.run(book)
    if json_:
        as_json(_as_dict(book, count, failures))
    else:
        name = file or "config/rules.yaml"
        for one in failures:
            say(f"{name}:{one.line}: rule {one.rule_id}, test {one.test!r}: {one.text}")
        shadows = f" ({len(book.shadows)} in shadow)" if book.shadows else ""
        end = f"{len(failures)} of {count} tests failed" if failures else f"{count} tests passed, no fault found"
        say(f"{len(book.rules)} rules{shadows}, version {book.version}: {end}")
    if failures:
        sys.exit(1)


def _as_dict(book: RuleBook, count: int, failures: Sequence[trials.Failure]) -> dict[str, Any]:
    return {
        "version": book.version,
        "rules": [{"id": rule.id, "mode": rule.mode, "tests": len(rule.tests)} for rule in book.rules],
        "tests": count,
        "failures": [one.as_dict() for one in failures],
    }


@rules.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many at most.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def versions(limit: int, *, json_: bool) -> None:
    """Every version that ever decided something, the latest in front; * marks the one of this release's file."""
    with ledger() as services, transaction(services.engine) as tx:
        found = rule_versions.listing(tx, limit)
        present = services.rules.version
    if json_:
        as_json([{**one, "present": one["version"] == present} for one in found])
        return
    for one in found:
        modes = list(one["rules"].values())
        shadows = f", {modes.count(SHADOW)} in shadow" if SHADOW in modes else ""
        mark = "*" if one["version"] == present else " "
        say(f"{mark} {one['version']}  first used {clock(one['first_seen_at'])}  {len(modes)} rules{shadows}")
    if not found:
        say("no version has decided anything yet")


@rules.command()
@click.argument("version")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def show(version: str, *, json_: bool) -> None:
    """The rules file of a VERSION, as plans and `revpipe trace` name it; the first digits will do."""
    with ledger() as services, transaction(services.engine) as tx:
        found = rule_versions.read(tx, version.strip())
    if found is None:
        raise click.ClickException(f"no version, or several, begin with {version!r}; list them: revpipe rules versions")
    if json_:
        as_json(found)
    else:
        say(found["source"].rstrip("\n"))


@rules.command()
@click.option("--since", type=MOMENT, default="7d", show_default=True, help="From when on: 7d, 4h, or a time.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def shadow(since: datetime, *, json_: bool) -> None:
    """What the rules in shadow would have done, beside what the live ones did."""
    with ledger() as services, transaction(services.engine) as tx:
        found = shadow_report.compare(tx, services.rules, since)
    if json_:
        as_json([one.as_dict() for one in found])
    else:
        say("\n".join(shadow_report.lines(found)) or "no rule is in shadow; put `mode: shadow` on one to try it")


rules.add_command(simulate)
rules.add_command(share)
rules.add_command(diff)
rules.add_command(suggest_rules)
