"""`revpipe trace`: the whole story of a signal."""

import uuid
from collections.abc import Sequence

import click
from sqlalchemy import Connection

from revpipe import queries, why_not
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.services import Services
from revpipe.story import view as trace_view
from revpipe.terminal import say

MOST = 20


class Unknown(click.ClickException):
    """The ledger holds no signal by that name, or nothing of the rule that is asked about."""

    exit_code = 2


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--limit", type=click.IntRange(1), default=MOST, show_default=True, help="How many signals at most.")
@click.option("--rules", "all_rules", is_flag=True, help="Every rule that listened, with what kept it from firing.")
@click.option("--why-not", "rule", metavar="RULE", help="Only the least that would have made this rule fire.")
@click.option("--json", "json_", is_flag=True, help="For machines: all that the ledger holds of them.")
def trace(id_: str, limit: int, rule: str | None, *, all_rules: bool, json_: bool) -> None:
    """Why did, or didn't, something happen?

    ID is that of a signal, correlation, delivery, action, dead letter or deal. Where it leads to several signals
    they come oldest first. Times are in UTC.
    """
    with ledger() as services, transaction(services.engine) as tx:
        found = queries.signals_named(tx, id_.strip())
        if not found:
            raise Unknown(_why_none(tx, id_.strip()))
        if rule is not None:
            _why_not(services, tx, found[:limit], rule, json_=json_)
            return
        stories = [queries.story(tx, signal_id) for signal_id in found[:limit]]
    if json_:
        as_json(stories)
    else:
        say("\n\n".join("\n".join(trace_view.lines(story, all_rules=all_rules)) for story in stories))
    if len(found) > limit:
        click.echo(f"\n{len(found) - limit} newer signals are left out; see them with --limit {len(found)}", err=True)


def _why_not(services: Services, tx: Connection, signals: Sequence[uuid.UUID], rule: str, *, json_: bool) -> None:
    """What would have made the rule fire on each of these signals."""
    try:
        answers = [why_not.of_signal(services, tx, signal_id, rule) for signal_id in signals]
    except Permanent as error:
        raise Unknown(str(error)) from error
    if json_:
        as_json([{"signal_id": signal_id, **one.as_dict()} for signal_id, one in zip(signals, answers, strict=True)])
        return
    for signal_id, answer in zip(signals, answers, strict=True):
        say(f"{signal_id}  {answer.sentence}")
        for change in answer.changes:
            say(f"    {change.term}")


def _why_none(tx: Connection, name: str) -> str:
    """What to do about an id that leads to no signal."""
    letter = queries.letter_named(tx, name)
    if letter:
        return f"{name} brought no signal but a dead letter; see it with: revpipe deadletters show {letter}"
    return (
        f"the ledger knows no signal, correlation, delivery, action, dead letter or deal {name!r}."
        " List what came in with: revpipe signals"
    )
