"""`revpipe llm`: what language models did and cost, and what is left for today."""

from datetime import datetime
from typing import Any

import click

from revpipe.bootstrap import load_llm_policy
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.durations import duration
from revpipe.errors import Misconfigured
from revpipe.llm import answers, budget
from revpipe.terminal import say


@click.group()
def llm() -> None:
    """What language models decide where rules leave it open."""


@llm.command()
@click.option("--since", default="7d", show_default=True, help="How far back: 12h, 7d; or a day: 2026-11-01.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def usage(since: str, json_: bool) -> None:
    """Calls, tokens, cost and latency by day (UTC) and model, who decided, and what is left of today's budget.

    A call that failed without an answer counts, with no tokens: only the vendor knows whether it was billed.
    """
    policy = load_llm_policy()
    with ledger() as services, transaction(services.engine) as tx:
        now = services.clock.now()
        from_ = _moment(since, now)
        rows = answers.usage(tx, from_)
        decided = answers.outcomes(tx, from_)
        used = budget.used(tx, now.date())
        provider = services.settings.llm_provider
    left = {
        "tokens": max(0, policy.budget.tokens - used.tokens),
        "usd": round(max(0.0, policy.budget.usd - used.usd), 4),
    }
    today = {"day": now.date(), "tokens": used.tokens, "usd": round(used.usd, 4), "left": left}
    if json_:
        as_json({"provider": provider, "usage": rows, "decided": decided, "today": today})
        return
    _table(rows)
    _shares(decided)
    say(
        f"today {used.tokens} of {policy.budget.tokens} tokens and ${used.usd:.4f} of ${policy.budget.usd:g} are spent"
        f" or set aside; left: {left['tokens']} tokens, ${left['usd']:.4f}"
    )
    if provider == "none":
        say("LLM_PROVIDER is none in this environment: where workers have the same, the fallback decides")


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        say("no language model was asked")
        return
    say(
        f"{'day (UTC)':<12}{'model':<28}{'calls':>7}{'failed':>8}{'tokens in':>11}{'out':>9}{'cost $':>10}{'p50 ms':>8}"
    )
    for row in rows:
        say(
            f"{row['day']!s:<12}{row['model']:<28}{row['calls']:>7}{row['failed']:>8}{row['input_tokens']:>11}"
            f"{row['output_tokens']:>9}{row['cost_usd']:>10.4f}{row['latency_p50_ms']:>8}"
        )


def _shares(decided: list[dict[str, Any]]) -> None:
    """How much of what the rules left open the fallback had to decide, and why."""
    plans = sum(row["plans"] for row in decided)
    if not plans:
        return
    missed = [row for row in decided if row["by"] == "fallback"]
    fell = sum(row["plans"] for row in missed)
    why = ", ".join(f"{row['outcome']} {row['plans']}" for row in missed)
    say(
        f"of {plans} signals that the rules left open the model decided {plans - fell}, the fallback {fell}"
        f" ({fell / plans:.0%})" + (f": {why}" if why else "")
    )


def _moment(since: str, now: datetime) -> datetime:
    """A day as it is named, or a time (in UTC, if it names no zone), or the beginning of the day so long ago."""
    try:
        at = datetime.fromisoformat(since)
        return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
    except ValueError:
        pass
    try:
        return answers.start_of(duration(since, "--since"), now)
    except (Misconfigured, OverflowError) as error:
        raise click.BadParameter(f"{since!r} is no time; write 7d, 12h, or a day, as in 2026-11-01") from error
