"""What commands share: settings with a database behind them, and JSON output."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
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
    with embedded.filled(load()) as (settings, _):
        yield settings


@contextmanager
def ledger(make: Callable[[Settings], Services] = for_keeper) -> Iterator[Services]:
    """Services for a command that reads or changes the ledger; `make` says which."""
    with connected() as settings:
        services = make(settings)
        try:
            with services.engine.connect() as connection:
                at = migrate.current(connection)
            if at != migrate.newest():
                raise click.ClickException(_not_ready(settings, at))
            yield services
        finally:
            services.dispatcher.close()
            services.engine.dispose()


def _not_ready(settings: Settings, at: str | None) -> str:
    if at is None:
        asked = f" ({settings.revpipe_data_dir}: is REVPIPE_DATA_DIR right?)" if load().database_url is None else ""
        return f"the tables are not there yet{asked}; make them with: revpipe migrate"
    return f"the tables are of revision {at}, this release needs {migrate.newest()}; run: revpipe migrate"


def as_json(value: Any) -> None:
    """Print `value` as JSON for machines: ids as text, times as ISO 8601 in UTC."""
    click.echo(json.dumps(value, default=_plain, indent=2))


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value)
