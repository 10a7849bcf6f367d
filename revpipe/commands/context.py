"""What commands share: settings with a database behind them, and JSON output."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import click

from config.settings import Settings, load
from revpipe import migrate
from revpipe.bootstrap import for_keeper
from revpipe.embedded import client as embedded
from revpipe.services import Services


@contextmanager
def connected() -> Iterator[Settings]:
    """Settings whose database and Redis are there: the ones set, else the embedded ones of the data folder."""
    settings = load()
    if settings.database_url and settings.redis_url:
        yield settings
        return
    with embedded.servers(settings.revpipe_data_dir) as lease:
        yield replace(
            settings,
            database_url=settings.database_url or lease.database_url,
            redis_url=settings.redis_url or lease.redis_url,
        )


@contextmanager
def ledger(settings: Settings | None = None) -> Iterator[Services]:
    """Services for a command that reads or changes the ledger."""
    with connected() if settings is None else nullcontext(settings) as found:
        services = for_keeper(found)
        try:
            with services.engine.connect() as connection:
                at = migrate.current(connection)
            if at != migrate.newest():
                raise click.ClickException(
                    f"the ledger is at {at or 'no'} revision, this release needs {migrate.newest()}:"
                    " run revpipe migrate first"
                )
            yield services
        finally:
            services.engine.dispose()


def as_json(value: Any) -> None:
    """Print `value` as JSON for machines."""
    click.echo(json.dumps(value, default=str, indent=2))
