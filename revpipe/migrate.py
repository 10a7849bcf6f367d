"""Bring the ledger's tables up to this release."""

from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from revpipe.db import transaction

SCRIPTS = Path(__file__).parent.parent / "migrations"
# In the order in which ingest locks them, so that making a partition never waits for it in a ring.
PARTITIONED = ("deliveries", "trail")
MONTHS_AHEAD = 3
# Two releases that start at once must not migrate side by side.
LOCK = 7_305_846_121


def upgrade(engine: Engine) -> str:
    """Run what is missing and return the revision reached. Safe to run twice, and at once."""
    with transaction(engine) as connection:
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        ensure_partitions(connection)
        return current(connection) or "none"


def current(connection: Connection) -> str | None:
    """The revision that the database is at, None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def newest() -> str | None:
    """The revision that this release needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def ensure_partitions(connection: Connection, now: datetime | None = None) -> int:
    """Make the partitions of this month and the next ones; returns how many were new."""
    now = now or datetime.now(UTC)
    made = 0
    for ahead in range(-1, MONTHS_AHEAD + 1):
        index = now.year * 12 + now.month - 1 + ahead
        month = f"{index // 12:04d}-{index % 12 + 1:02d}-01"
        for table in PARTITIONED:
            made += bool(
                connection.scalar(
                    text("SELECT ensure_month_partition(:table, CAST(:month AS date))"),
                    {"table": table, "month": month},
                )
            )
    return made


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config
