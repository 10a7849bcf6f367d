"""`revpipe demo`: the story of three deals over a fortnight."""

from dataclasses import replace
from pathlib import Path

import click

from config.settings import load
from revpipe.commands.up import PORT, standing
from revpipe.local import demo_story


@click.command()
@click.option("--exit", "exit_", is_flag=True, help="Stop everything at the end of the story.")
@click.option("--port", type=PORT, default=0, show_default=True, help="Of the web process; 0 takes a free one.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Folder of the embedded servers.")
def demo(port: int, data_dir: Path | None, *, exit_: bool) -> None:
    """Play the story of three deals over a fortnight against simulated vendors, and show each signal's journey.

    Every run starts with an empty ledger, in a folder of its own.
    """
    settings = load()
    folder = (data_dir or settings.revpipe_data_dir / "demo").absolute()
    settings = replace(settings, database_url=None, redis_url=None, broker_url=None, revpipe_data_dir=folder)
    click.echo("starting PostgreSQL, Valkey, web, workers, keeper, beat and simulated vendors …")
    with standing(settings, port, sandbox=True, prepare=demo_story.forget) as running:
        demo_story.tell(running)
        if not exit_ and not running.stopping:
            click.echo("everything stays up until Ctrl-C")
            running.wait()
