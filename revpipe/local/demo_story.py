"""Playing the demo's story and showing what becomes of it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine

from revpipe import queries
from revpipe.db import make_engine, transaction
from revpipe.embedded import client as embedded
from revpipe.errors import Misconfigured
from revpipe.local import demo_queries, far_side
from revpipe.local.formation import Formation
from revpipe.local.way_in import way_in
from revpipe.story import view as trace_view

SETTLE_SECONDS: Final = 20.0
STOP_SECONDS: Final = 20.0
WIDTH: Final = 120


def forget(folder: Path) -> None:
    """Delete the ledger of an earlier demo. Raises Misconfigured if something still uses it."""
    if not embedded.wait_stopped(folder, timeout=STOP_SECONDS):
        raise Misconfigured(f"something still uses the ledger in {folder}; stop it first, or name another --data-dir")
    for part in ("postgres", "valkey", "logs"):
        shutil.rmtree(folder / part, ignore_errors=True)


def tell(running: Formation) -> None:
    """Play every step, show its signals as they settle, then the table and where to look further.

    Breaks off as soon as the formation is told to stop.
    """
    settings = running.settings
    engine = make_engine(str(settings.database_url), pool_size=2, prepared=settings.database_prepared)
    try:
        with _player(running) as player:
            for step in _steps(player, running):
                _show_step(engine, step, running)
        if not running.stopping:
            click.echo("")
            _show_table(engine)
            _show_why(engine)
            _show_where(running)
    finally:
        engine.dispose()


@contextmanager
def _player(running: Formation) -> Iterator["subprocess.Popen[str]"]:
    vendors = running.sandbox
    if vendors is None:
        raise Misconfigured("the story needs the simulated vendors")
    keys = {
        "SANDBOX_URL": vendors.url,
        "REVPIPE_URL": running.url,
        "HUBSPOT_CLIENT_SECRET": far_side.HUBSPOT_SECRET,
        "GONG_PRIVATE_KEY": vendors.gong_private_key,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.sandbox.play"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **keys},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _steps(player: "subprocess.Popen[str]", running: Formation) -> Iterator[dict[str, Any]]:
    if player.stdin is None or player.stdout is None:
        return
    while not running.stopping:
        player.stdin.write("next\n")
        player.stdin.flush()
        line = player.stdout.readline()
        if not line.strip():
            raise click.ClickException("the story's player ended before its story; its complaint is above")
        step = json.loads(line)
        if step is None:
            return
        yield step


def _show_step(engine: Engine, step: dict[str, Any], running: Formation) -> None:
    answer = step["answer"]
    click.echo("")
    click.secho(f"{step['day']:>12}  {step['title']}", bold=True)
    counts = ", ".join(f"{answer[name]} {name}" for name in ("accepted", "duplicates", "rejected") if answer.get(name))
    click.echo(f"{'':>12}  {step['vendor']} webhook → {step['status']} {counts or answer.get('detail', '')}")
    if "delivery_id" not in answer:
        return
    for line in _settled(engine, answer["delivery_id"], running):
        click.echo(f"{'':>14}{line}")


def _settled(engine: Engine, delivery_id: str, running: Formation) -> list[str]:
    """The journeys of a delivery's signals once each has ended or waits for a person."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        running.tend()
        with transaction(engine) as tx:
            stories = demo_queries.of_delivery(tx, delivery_id)
            refused = demo_queries.refused(tx, delivery_id)
        if all(map(demo_queries.at_rest, stories)) or running.stopping or time.monotonic() > deadline:
            return [*(line for story in stories for line in demo_queries.journey(story)), *refused]
        time.sleep(0.05)


def _show_table(engine: Engine) -> None:
    with transaction(engine) as tx:
        rows = demo_queries.table(tx)
        letters = demo_queries.open_letters(tx)
    table = Table(title="Three deals, one fortnight", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in ("signal", "deal", "decided by", "outcome", "actions", "after"):
        # A deal, a rule and a time are looked for as a whole; the rest may go on in a second line.
        table.add_column(column, overflow="fold", no_wrap=column in ("deal", "decided by", "after"))
    for row in rows:
        table.add_row(*row)
    Console(width=min(WIDTH, max(100, shutil.get_terminal_size((WIDTH, 40)).columns))).print(table)
    if letters:
        click.echo(f"{letters} dead letter{'s' if letters > 1 else ''}: what can't be read is kept, not lost")


def _show_why(engine: Engine) -> None:
    with transaction(engine) as tx:
        chosen = demo_queries.worth_tracing(tx)
        story = queries.story(tx, chosen) if chosen else None
    if story:
        click.echo(f"\nwhy? revpipe trace {chosen}\n")
        click.echo("\n".join(trace_view.lines(story)))


def _show_where(running: Formation) -> None:
    click.echo(f"\nlook further: export REVPIPE_DATA_DIR={running.settings.revpipe_data_dir}")
    click.echo("              revpipe signals · approvals list · deadletters list · queues · trace ID")
    if running.sandbox is not None:
        click.echo(f"vendors  {running.sandbox.url}/_sandbox/effects")
    click.echo(f"web      {running.url}")
    click.echo(f"sign-in  {way_in(running)}")
