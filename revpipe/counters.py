"""Hourly counts of what leaves no row of its own."""

from datetime import datetime

import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from revpipe.db import transaction

log = structlog.get_logger(__name__)


def add(engine: Engine, name: str, at: datetime, by: int = 1) -> None:
    """Count `name` in the hour of `at`. A count is never worth failing for: an error is only logged."""
    try:
        with transaction(engine, durable=False) as tx:
            tx.execute(
                text(
                    "INSERT INTO counters (hour, name, count) VALUES (:hour, :name, :by)"
                    " ON CONFLICT (hour, name) DO UPDATE SET count = counters.count + excluded.count"
                ),
                {"hour": at.replace(minute=0, second=0, microsecond=0), "name": name, "by": by},
            )
    except SQLAlchemyError as error:
        log.warning("not_counted", name=name, error=type(error).__name__)
