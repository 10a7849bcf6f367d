"""`revpipe prune`: let go of what is over and past its retention."""

import click

from revpipe import audit
from revpipe import prune as pruning
from revpipe.bootstrap import load_retention
from revpipe.commands.context import as_json, ledger
from revpipe.terminal import say


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--actor", default=audit.user_here, help="Who does it; by default the user of this machine.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def prune(actor: str, *, dry_run: bool, json_: bool) -> None:
    """Delete what is over and older than config/retention.yaml says. Beat's timetable does so every hour.

    Never an open signal, an open approval, an action of unknown effect, or an open dead letter.
    """
    retention = load_retention()
    with ledger() as services:
        now = services.clock.now()
        if dry_run:
            found = pruning.look(services.engine, retention, now)
        else:
            found = pruning.run(services.engine, retention, now, actor)
    if json_:
        as_json({"retention": retention.as_dict(), "dry_run": dry_run, **found.as_dict()})
        return
    times = retention.as_dict()
    for kind, count in found.rows.items():
        if count:
            say(f"{count:>10} {kind.replace('_', ' ')} (kept for {times.get(kind, 'as long as they are fresh')})")
    for name in found.months:
        say(f"{'month':>10} {name}")
    for name, why in found.kept.items():
        say(f"{'stays':>10} {name}: {why}")
    if not any(found.rows.values()) and not found.months:
        say("nothing to let go")
    elif dry_run:
        say("nothing was deleted; the months of the trail go if no signal of theirs is left")
