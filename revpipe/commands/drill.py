"""`revpipe drill`: a rehearsal of everything that can go wrong, on one's own rules."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from revpipe.drill import table
from revpipe.drill.outcome import Wish, usual_seconds
from revpipe.drill.run import rehearse


@click.command()
@click.option("--seed", default=1, show_default=True, help="What happens and when follows from it.")
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="That many, from --seed on.")
@click.option("--jobs", type=click.IntRange(1, 32), default=1, show_default=True, help="So many of them at a time.")
@click.option("--signals", type=click.IntRange(10, 20_000), default=200, show_default=True)
@click.option("--minutes", type=click.FloatRange(0.2, 240), help="How long attacks come; follows from --signals.")
@click.option("--every", type=click.FloatRange(0.5), default=1.6, show_default=True, help="Seconds between attacks.")
@click.option("--hits", default=0, help="Fail if fewer attacks than this hit claimed work.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Leave ledgers and logs in this folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each seed.")
def drill(
    seed: int,
    seeds: int,
    jobs: int,
    signals: int,
    minutes: float | None,
    every: float,
    hits: int,
    keep: Path | None,
    *,
    as_json: bool,
) -> None:
    """Rehearse failure: kill, freeze, cut and flush while signals flow, then count what was lost or done twice.

    With your rules and policies, simulated vendors, and servers of its own in a temporary folder: your database,
    your broker and your vendors are not touched. Exits 1 if anything was lost, doubled or left undone.
    """
    seconds = minutes * 60 if minutes else usual_seconds(signals)
    wishes = [
        Wish(number, signals, seconds, every, keep=keep.absolute() / f"seed-{number}" if keep else None)
        for number in range(seed, seed + seeds)
    ]
    reports = []
    for report in _in_turn(wishes) if jobs == 1 else _side_by_side(wishes, jobs):
        reports.append(report)
        _tell(report, as_json=as_json)
    if not as_json:
        table.show_attacks(reports, Console(width=140))
    weak = [report["seed"] for report in reports if report["hits"] < hits]
    if weak:
        click.echo(f"fewer than {hits} attacks hit claimed work: seeds {weak}", err=True)
    if weak or not all(report["exact"] for report in reports):
        sys.exit(1)


def _tell(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report))
    else:
        table.show(report, Console(width=140))


def _in_turn(wishes: list[Wish]) -> Iterator[dict[str, Any]]:
    for wish in wishes:
        yield table.report_of(rehearse(wish, lambda words: click.echo(words, err=True)))


def _side_by_side(wishes: list[Wish], jobs: int) -> Iterator[dict[str, Any]]:
    """Each in a process of its own: most of a rehearsal is waiting for its vendors' rates."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(_apart, wishes)


def _apart(wish: Wish) -> dict[str, Any]:
    command = [sys.executable, "-m", "revpipe", "drill", "--json", "--seed", str(wish.seed)]
    command += ["--signals", str(wish.signals), "--minutes", str(wish.seconds / 60), "--every", str(wish.every)]
    if wish.keep:
        command += ["--keep", str(wish.keep.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if not lines:
        raise click.ClickException(f"the rehearsal of seed {wish.seed} broke off:\n{done.stderr[-3000:]}")
    report: dict[str, Any] = json.loads(lines[-1])
    return report
