"""`revpipe deadletters`: work that will not succeed by itself."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click

from revpipe import dead_letters, replays
from revpipe.bootstrap import for_web
from revpipe.commands import replaying
from revpipe.commands.context import as_json, ledger
from revpipe.commands.moments import MOMENT
from revpipe.db import transaction
from revpipe.dead_letters import Filter, Mark
from revpipe.models.dead_letter import STATES
from revpipe.replays import Word
from revpipe.services import Services
from revpipe.story.words import clock
from revpipe.terminal import say

Command = Callable[..., None]
STAGES: Final = ("ingest", "enrich", "decide", "execute", "act", "message")


def filters(command: Command) -> Command:
    """Options that say which letters are meant."""
    for option in (
        click.option("--signal", "signal_id", type=click.UUID, help="Only of this signal and its actions."),
        click.option("--until", type=MOMENT, help="Last buried before then."),
        click.option("--since", type=MOMENT, help="Last buried from then on: 2026-03-05T09:00 (UTC), or 4h ago."),
        click.option("--source", help="Only from this source."),
        click.option("--reason", help="Only with this reason."),
        click.option("--stage", type=click.Choice(STAGES), help="Only of this stage."),
    ):
        command = option(command)
    return command


@click.group()
def deadletters() -> None:
    """Work that will not succeed by itself."""


@deadletters.command("list")
@filters
@click.option("--state", type=click.Choice((*STATES, "all")), default="open", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--after", metavar="MARK", help="The next page, as the end of this one names it.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def list_(state: str, limit: int, after: str | None, json_: bool, **wanted: Any) -> None:
    """Dead letters, the newest in front."""
    behind = _mark(after) if after else None
    with ledger() as services, transaction(services.engine) as tx:
        rows = dead_letters.listing(tx, None if state == "all" else state, limit, Filter(**wanted), behind)
    if json_:
        as_json(rows)
        return
    for row in rows:
        say(_line(row))
    if len(rows) == limit:
        say(f"more: add --after {rows[-1]['last_at'].astimezone(UTC).isoformat()},{rows[-1]['letter_id']}")
    if not rows:
        say("no open dead letters" if state == "open" else "no such dead letters")


@deadletters.command()
@click.argument("letter_id", type=click.UUID)
@click.option("--json", "json_", is_flag=True, help="For machines.")
def show(letter_id: uuid.UUID, json_: bool) -> None:
    """One dead letter whole: error, traceback, and what it was about."""
    with ledger() as services, transaction(services.engine) as tx:
        letter = dead_letters.show(tx, letter_id)
    if letter is None:
        raise click.ClickException(f"no dead letter has the id {letter_id}")
    if letter["message"] is not None:
        letter["message"] = bytes(letter["message"]).decode("utf-8", "backslashreplace")
    if json_:
        as_json(letter)
        return
    for name, value in letter.items():
        if value not in (None, {}, ""):
            say(f"{name}: {value}")


@deadletters.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID)
@filters
@click.option("--all", "all_", is_flag=True, help="Every open letter.")
@click.option("--limit", type=click.IntRange(1), help="At most so many, the first buried first.")
@replaying.rate_option
@replaying.options
def replay(
    ids: tuple[uuid.UUID, ...],
    all_: bool,
    limit: int | None,
    rate: float,
    actor: str,
    *,
    yes: bool,
    dry_run: bool,
    json_: bool,
    **wanted: Any,
) -> None:
    """Try dead work again from the stage that failed, by ids or by the filters of `list`.

    What was done already is not done again; what nobody can tell is looked up at the vendor first.
    """
    which = _which(ids, wanted, all_=all_, sure=yes or dry_run, json_=json_)
    with ledger(for_web) as services:
        chosen = _chosen(services, ids, which, limit)
        told = replaying.show(replays.letter_forecasts(services, chosen), quiet=json_)
        if replaying.go_on(told, json_=json_, dry_run=dry_run, ask=not ids and not yes):
            word = Word(actor, "deadletters replay", rate, {**_how(wanted), "rate": rate})
            replaying.report(told, replays.letters(services, chosen, word), rate, json_=json_)


@deadletters.command()
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.UUID)
@filters
@click.option("--all", "all_", is_flag=True, help="Every open letter.")
@click.option("--limit", type=click.IntRange(1), help="At most so many, the first buried first.")
@click.option("--why", required=True, help="Why nothing is lost by it; kept with the letter. Names of no persons.")
@replaying.options
def discard(
    ids: tuple[uuid.UUID, ...],
    all_: bool,
    limit: int | None,
    why: str,
    actor: str,
    *,
    yes: bool,
    dry_run: bool,
    json_: bool,
    **wanted: Any,
) -> None:
    """Close dead letters for good, by ids or by the filters of `list`; their signals stay dead-lettered."""
    which = _which(ids, wanted, all_=all_, sure=yes or dry_run, json_=json_)
    with ledger() as services:
        chosen = _chosen(services, ids, which, limit)
        if not json_:
            _say_chosen(services, chosen)
        if dry_run:
            if json_:
                as_json({"would_discard": chosen})
            return
        if not ids and not yes and chosen and not click.confirm(f"discard {len(chosen)}?"):
            return
        audit_id, closed = replays.discard(services, chosen, Word(actor, "deadletters discard", how=_how(wanted)), why)
    if json_:
        as_json({"discarded": closed, "audit_id": audit_id})
    else:
        say(f"{len(closed)} discarded, {len(chosen) - len(closed)} were not open; audit {audit_id}")
    if len(closed) < len(chosen):
        raise click.exceptions.Exit(1)


def _which(ids: Sequence[uuid.UUID], wanted: dict[str, Any], *, all_: bool, sure: bool, json_: bool) -> Filter:
    which = Filter(**wanted)
    if ids and (all_ or not which.empty):
        raise click.UsageError("give ids or filters, not both")
    if not ids and which.empty and not all_:
        raise click.UsageError("say which: ids, filters such as --reason, or --all for every open letter")
    if json_ and not ids and not sure:
        raise click.UsageError(replaying.ASKS_NOT)
    return which


def _chosen(services: Services, ids: Sequence[uuid.UUID], which: Filter, limit: int | None) -> list[uuid.UUID]:
    if ids:
        return list(ids)
    with transaction(services.engine) as tx:
        return dead_letters.chosen(tx, which, limit)


def _line(row: Mapping[str, Any]) -> str:
    times = f" ({row['times']} times)" if row["times"] > 1 else ""
    closed = "" if row["state"] == "open" else f" [{row['state']}]"
    return (
        f"{row['letter_id']}  {clock(row['last_at'])}  {row['stage']:<8} {row['source'] or '-':<8}"
        f" {row['reason']}{times}{closed}: {row['error'].splitlines()[0][:100]}"
    )


def _say_chosen(services: Services, ids: Sequence[uuid.UUID]) -> None:
    """What is about to be closed for good, each as the list shows it."""
    with transaction(services.engine) as tx:
        found = [(one, dead_letters.show(tx, one)) for one in ids[: replaying.SHOWN]]
    for one, letter in found:
        say(_line(letter) if letter else f"{one}  there is no such dead letter")
    if len(ids) > replaying.SHOWN:
        say(f"… and {len(ids) - replaying.SHOWN} more")


def _how(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if value is not None}


def _mark(words: str) -> Mark:
    at, _, letter_id = words.partition(",")
    try:
        return Mark(datetime.fromisoformat(at), uuid.UUID(letter_id))
    except ValueError as error:
        raise click.UsageError(f"--after {words!r} is no mark; it is named at the end of a page") from error
