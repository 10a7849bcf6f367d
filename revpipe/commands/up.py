"""`revpipe up`: everything on this machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from config.settings import Settings, SettingsError, load
from revpipe.local import formation
from revpipe.local.formation import Formation
from revpipe.local.way_in import way_in

PORT = click.IntRange(0, 65_535)


@contextmanager
def standing(
    settings: Settings, port: int, *, sandbox: bool, prepare: Callable[[Path], None] = lambda _: None
) -> Iterator[Formation]:
    """The formation with its messages on the terminal; its collapse is one message and exit 1."""
    try:
        with formation.running(settings, port, sandbox=sandbox, say=_say, prepare=prepare) as running:
            yield running
            click.echo("stopping …")
    except formation.Collapsed as error:
        raise click.ClickException(str(error)) from error


WEBHOOKS: Final = ("hubspot_client_secret", "gong_webhook_public_key")
"""Settings without which a source is refused, though everything else runs."""


def _say(message: str) -> None:
    click.echo(message, err=True)


@click.command()
@click.option("--port", type=PORT, default=8000, show_default=True, help="Of the web process; 0 takes a free one.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Folder of the embedded servers.")
@click.option("--sandbox", is_flag=True, help="Simulated HubSpot, Gong and Slack instead of real ones.")
def up(port: int, data_dir: Path | None, *, sandbox: bool) -> None:
    """Start web, workers, keeper and beat, with embedded PostgreSQL and Valkey where no URL is given.

    Prints `ready http://127.0.0.1:PORT` when all of them answer, and a link that signs the first admin in once;
    one Ctrl-C stops everything.
    """
    settings = load()
    if data_dir is not None:
        settings = replace(settings, revpipe_data_dir=data_dir.absolute())
    try:
        with standing(settings, port, sandbox=sandbox) as running:
            if not running.stopping:
                _tell(running)
                running.wait()
    except SettingsError as error:
        raise SettingsError(f"{error}\nTo try revpipe without any of these: revpipe up --sandbox") from error


def _tell(running: Formation) -> None:
    if running.sandbox is not None:
        running.sandbox.send_webhooks_to(running.url)
    click.echo(f"ready {running.url}")
    if running.sandbox is not None:
        click.echo(f"sandbox {running.sandbox.url}")
    click.echo(f"logs {running.logs}")
    click.echo(f"sign-in {way_in(running)}")
    lacking = [name.upper() for name in WEBHOOKS if running.sandbox is None and not getattr(running.settings, name)]
    if lacking:
        _say(f"not set: {', '.join(lacking)}; webhooks that need one of them are refused until it is")
