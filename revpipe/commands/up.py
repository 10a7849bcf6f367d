"""`revpipe up`: everything on this machine."""

from dataclasses import replace
from pathlib import Path

import click

from config.settings import load
from revpipe import formation


@click.command()
@click.option("--port", default=8000, show_default=True, help="Where the web process listens; 0 takes a free one.")
@click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Folder of the embedded servers."
)
@click.option("--sandbox", is_flag=True, help="Simulated HubSpot, Gong and Slack instead of real ones.")
def up(port: int, data_dir: Path | None, sandbox: bool) -> None:
    """Start web, workers, keeper and beat, with embedded PostgreSQL and Valkey where no URL is given.

    Prints `ready http://127.0.0.1:PORT` when all of them answer; one Ctrl-C stops everything.
    """
    settings = load()
    if data_dir is not None:
        settings = replace(settings, revpipe_data_dir=data_dir.absolute())
    with formation.running(settings, port, sandbox=sandbox) as running:
        click.echo(f"ready {running.url}")
        if running.sandbox is not None:
            running.sandbox.send_webhooks_to(running.url)
            click.echo(f"sandbox {running.sandbox.url}")
        click.echo(f"logs {running.logs}")
        running.wait()
