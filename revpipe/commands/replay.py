"""`revpipe replay`: signals put back to work, each from the stage that is asked for."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from revpipe import payloads, replays
from revpipe.commands import replaying
from revpipe.commands.context import ledger
from revpipe.commands.moments import MOMENT
from revpipe.db import transaction
from revpipe.errors import BadPayload
from revpipe.models.signal import DISPOSITIONS
from revpipe.replays import Period, Word

STAGE = click.option(
    "--from",
    "stage",
    type=click.Choice(replays.STAGES),
    help="Where to begin; by default where it failed, else decide.",
)


@click.group()
def replay() -> None:
    """Put ended signals back to work.

    What was done already is never done again; what nobody can tell is looked up at the vendor first. Before
    anything is replayed it is shown.
    """


@replay.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=click.UUID)
@STAGE
@click.option("--payload", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A corrected payload.")
@replaying.rate_option
@replaying.options
def signal(
    ids: tuple[uuid.UUID, ...],
    stage: str | None,
    payload: Path | None,
    rate: float,
    actor: str,
    *,
    yes: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Replay signals by id.

    With --payload FILE one signal takes the JSON object in FILE for its payload; the former one is kept.
    """
    if json_ and len(ids) > 1 and not (yes or dry_run):
        raise click.UsageError(replaying.ASKS_NOT)
    better = _read(payload) if payload else None
    if better is not None:
        stage = stage or "enrich"
    with ledger() as services:
        if better is not None:
            replays.check_payload(services, ids[0], better)
        told = replaying.show(replays.signal_forecasts(services, ids, stage), quiet=json_)
        if replaying.go_on(told, json_=json_, dry_run=dry_run, ask=len(ids) > 1 and not yes):
            word = Word(actor, "replay signal", rate, {"from": stage, "rate": rate, "payload": better is not None})
            done = replays.signals(services, ids, word, stage, better)
            replaying.report(told, done, rate, json_=json_)


@replay.command()
@click.option("--since", type=MOMENT, required=True, help="Received from then on: 2026-03-05T09:00 (UTC), or 4h ago.")
@click.option("--until", type=MOMENT, help="Received before then; by default now.")
@click.option("--source")
@click.option("--event")
@click.option("--disposition", type=click.Choice(DISPOSITIONS))
@STAGE
@replaying.rate_option
@replaying.options
def period(
    since: datetime,
    until: datetime | None,
    source: str | None,
    event: str | None,
    disposition: str | None,
    stage: str | None,
    rate: float,
    actor: str,
    *,
    yes: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Replay the signals that were received in a period, the oldest first."""
    if json_ and not (yes or dry_run):
        raise click.UsageError(replaying.ASKS_NOT)
    if until is not None and since >= until:
        raise click.UsageError("--since must lie before --until")
    wanted = Period(since, until or datetime.now(UTC), source, event, disposition)
    with ledger() as services:
        with transaction(services.engine) as tx:
            ids = replays.in_period(tx, wanted)
        told = replaying.show(replays.signal_forecasts(services, ids, stage), quiet=json_)
        if replaying.go_on(told, json_=json_, dry_run=dry_run, ask=not yes):
            how: dict[str, Any] = {name: getattr(wanted, name) for name in Period.__slots__}
            word = Word(actor, "replay period", rate, {**how, "from": stage, "rate": rate})
            done = replays.signals(services, ids, word, stage)
            replaying.report(told, done, rate, json_=json_)


def _read(file: Path) -> dict[str, Any]:
    value = payloads.parse(file.read_bytes())
    if not isinstance(value, dict):
        raise BadPayload("not_an_object", f"{file} must hold one JSON object, not {json.dumps(value)[:50]}")
    return value
