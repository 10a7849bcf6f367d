"""`revpipe capacity`: what a volume of signals needs, before it comes."""

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from config.settings import load
from revpipe.bootstrap import CONFIG, load_retention
from revpipe.capacity import benchmark as benchmarks
from revpipe.capacity import costs as reference
from revpipe.capacity import table
from revpipe.capacity.costs import Costs
from revpipe.capacity.estimate import estimate
from revpipe.capacity.wanted import HUBSPOT_PER_DAY, USUAL_MIX, Wanted, parse_mix
from revpipe.commands.context import as_json


class _Number(click.FloatRange):
    """A number that can be calculated with: Python's nan is in every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Raises BadParameter."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no number to calculate with.", param, ctx)
        return number


_PERCENT = _Number(0, 100)


@click.command()
@click.option("--signals-per-day", type=click.IntRange(1), required=True, help="On a busy day.")
@click.option("--mix", default=USUAL_MIX, show_default=True, help="How they arrive, in per cent: single, batch, file.")
@click.option(
    "--acts", type=_PERCENT, default=20, show_default=True, help="Per cent of signals that lead to an action."
)
@click.option("--alerts", type=_PERCENT, default=20, show_default=True, help="Per cent of actions that are Slack's.")
@click.option(
    "--peak",
    type=_Number(100 / 24, 100),
    default=15,
    show_default=True,
    help="Per cent of a day in its busiest hour.",
)
@click.option(
    "--headroom",
    type=_Number(0, 95),
    default=40,
    show_default=True,
    help="Per cent of each dyno that stays free then.",
)
@click.option("--vendor-ms", type=_Number(0), default=250, show_default=True, help="How long a vendor's call takes.")
@click.option(
    "--channels", type=click.IntRange(1), default=1, show_default=True, help="Slack channels that alerts go to."
)
@click.option("--hubspot-per-day", type=click.IntRange(1), default=HUBSPOT_PER_DAY, show_default=True)
@click.option("--database-processors", type=_Number(0.1), default=2, show_default=True, help="Of the database server.")
@click.option(
    "--benchmark",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another run's latest.json, in place of the figures that revpipe brings along.",
)
@click.option("--json", "json_", is_flag=True, help="For machines.")
def capacity(
    signals_per_day: int,
    mix: str,
    acts: float,
    alerts: float,
    peak: float,
    headroom: float,
    vendor_ms: float,
    channels: int,
    hubspot_per_day: int,
    database_processors: float,
    benchmark: Path | None,
    json_: bool,
) -> None:
    """Dynos, connections, disk and vendor calls for a volume of signals, and what is full first.

    Figures are of config/costs.json, retention of config/retention.yaml, HubSpot's rate of HUBSPOT_CALLS_PER_10S.
    Needs no database. docs/scale.md says what to do about each bottleneck.
    """
    wanted = Wanted(
        signals_per_day=signals_per_day,
        mix=_mix(mix),
        acts=acts / 100,
        alerts=alerts / 100,
        peak=peak / 100,
        headroom=headroom / 100,
        vendor_s=vendor_ms / 1000,
        channels=channels,
        hubspot_per_10s=load().hubspot_calls_per_10s,
        hubspot_per_day=hubspot_per_day,
        database_processors=database_processors,
    )
    costs = _costs(benchmark)
    found = estimate(wanted, costs, load_retention())
    if json_:
        measured = {"measured": costs.measured, "assumed": costs.assumed}
        as_json({"wanted": asdict(wanted), **asdict(found), "first": asdict(found.first), **measured})
    else:
        table.show(wanted, found, costs, Console(width=140))


def _mix(text: str) -> dict[str, float]:
    try:
        return parse_mix(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--mix") from error


def _costs(file: Path | None) -> Costs:
    """The figures that come along, with another run's in their place where one is named. Raises Misconfigured."""
    shipped = reference.load((CONFIG / "costs.json").read_text(encoding="utf-8"), "config/costs.json")
    if file is None:
        return shipped
    run = benchmarks.read(file.read_text(encoding="utf-8", errors="replace"), str(file))
    return replace(shipped, measured=run.measured, assumed=run.assumed, shapes=run.shapes, alone=run.alone)
