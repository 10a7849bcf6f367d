"""`revpipe migrate`."""

import click

from revpipe import migrate as migration
from revpipe.commands.context import connected
from revpipe.db import make_engine


@click.command()
def migrate() -> None:
    """Bring the ledger's tables up to this release; safe to run twice, and at once."""
    with connected() as settings:
        engine = make_engine(str(settings.database_url), pool_size=1, prepared=settings.database_prepared)
        try:
            click.echo(f"ledger at revision {migration.upgrade(engine)}")
        finally:
            engine.dispose()
