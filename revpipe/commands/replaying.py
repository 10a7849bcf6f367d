"""What the commands that replay share: their options, the forecast on the screen, and the question before it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import click

from revpipe import audit, forecasts, replays
from revpipe.commands.context import as_json
from revpipe.forecasts import Forecast
from revpipe.replays import Report
from revpipe.terminal import say

_NO_SIGNAL: Final = {"ingest": "an event that was no signal yet", "message": "a bare message"}
SHOWN: Final = 50
"""How many forecasts a person is shown one by one; the sum counts all, and --json has all."""
ASKS_NOT: Final = "--json does not ask: add --yes, or --dry-run to only see"

Command = Callable[..., None]


def options(command: Command) -> Command:
    """--dry-run, --yes, --actor and --json."""
    for option in (
        click.option("--json", "json_", is_flag=True, help="For machines."),
        click.option("--actor", default=audit.user_here, help="Who does it; by default the user of this machine."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Only show what would be done."),
    ):
        command = option(command)
    return command


def rate_option(command: Command) -> Command:
    """--rate."""
    return click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        default=replays.RATE,
        show_default=True,
        help="How many a second; the ledger holds the rest back.",
    )(command)


def show(told: Iterable[Forecast], *, quiet: bool) -> list[Forecast]:
    """Show forecasts and their sum; returns them. `quiet` shows nothing."""
    kept = list(told)
    if quiet:
        return kept
    for one in kept[:SHOWN]:
        for line in lines(one):
            say(line)
    if len(kept) > SHOWN:
        say(f"… and {len(kept) - SHOWN} more; --json has all")
    say(_sum(kept))
    return kept


def lines(told: Forecast) -> list[str]:
    """One forecast for people."""
    name = f"letter {told.letter_id} · " if told.letter_id else ""
    head = name + (f"signal {told.signal_id}" if told.signal_id else _NO_SIGNAL.get(told.stage or "", "unknown"))
    if told.refusal:
        return [f"{head} · nothing to do: {told.refusal}" if told.over else f"{head} · not replayed: {told.refusal}"]
    if told.stage == "ingest":
        return [f"{head} · read again by today's code"]
    actions = [f"    {action(one)}" for one in told.actions]
    if not told.anew:
        return [f"{head} · from {told.stage}", *actions]
    done = [f"    {action(one)}" for one in told.actions if one.verdict == forecasts.DONE]
    before = "these were done already and stay:" if done else "no action was done before"
    said = f"decided anew, what will run is not known yet; {before}"
    return [f"{head} · from {told.stage}", f"    {said}", *done]


def action(known: forecasts.Known) -> str:
    """One action and what becomes of it."""
    if known.verdict == forecasts.DONE:
        where = ", ".join(one for one in (known.external_id, known.url) if one)
        return f"{known.type} {known.action_id}  already done" + (f" ({where})" if where else "")
    state = f" ({known.state.replace('_', ' ')})" if known.verdict == forecasts.STAYS else ""
    return f"{known.type} {known.action_id}  {known.verdict}{state}"


def go_on(told: Sequence[Forecast], *, json_: bool, dry_run: bool, ask: bool, verb: str = "replay") -> bool:
    """Whether to do it: not for a dry run, nor when nothing is left to do; else as the person answers."""
    todo = sum(not one.refusal or one.over for one in told)
    if dry_run and json_:
        as_json({"forecasts": [plain(one) for one in told]})
    if dry_run:
        return False
    if ask and todo and not json_:
        return click.confirm(f"{verb} {todo}?")
    return True


def report(told: Sequence[Forecast], done: Report, rate: float, *, json_: bool) -> None:
    """What came of it."""
    if json_:
        results = [
            {**plain(one.forecast), "outcome": one.outcome, "reason": one.reason, "signals": one.signals}
            for one in done.results
        ]
        as_json({"forecasts": [plain(one) for one in told], "results": results, "audit_id": done.audit_id})
        _exit(done)
        return
    for one in done.results:
        if one.outcome == "still_bad":
            say(f"letter {one.forecast.letter_id} · still refused: {one.reason}")
    counts = done.counts
    words = [f"{counts[name]} {name.replace('_', ' ')}" for name in sorted(counts)]
    seconds = max(0, counts.get("replayed", 0) - 1) / rate
    spread = f", spread over {seconds:.0f} s" if seconds >= 1 else ""
    say(f"{', '.join(words) or 'nothing to do'}{spread}; audit {done.audit_id}")
    _exit(done)


def _exit(done: Report) -> None:
    """Exit code 1 when something that was asked for could not be done; what was done before is no failure."""
    if any(one.outcome in ("refused", "still_bad") and not one.forecast.over for one in done.results):
        raise click.exceptions.Exit(1)


def plain(told: Forecast) -> Mapping[str, Any]:
    """A forecast for machines."""
    return {**asdict(told), "anew": told.anew}


def _sum(told: Sequence[Forecast]) -> str:
    todo = [one for one in told if not one.refusal]
    verdicts = Counter(known.verdict for one in todo for known in one.actions if not one.anew)
    verdicts[forecasts.DONE] += sum(
        known.verdict == forecasts.DONE for one in todo if one.anew for known in one.actions
    )
    anew = sum(one.anew for one in todo)
    parts = [f"{count} {verdict}" for verdict, count in verdicts.items() if count and verdict != forecasts.STAYS]
    if anew:
        parts.append(f"{anew} decided anew")
    rest = len(told) - len(todo)
    left = f", {rest} not" if rest else ""
    return f"{len(todo)} to replay{left}" + (f": {'; '.join(parts)}" if parts else "")
