"""Times as people give them on the command line."""

from datetime import UTC, datetime
from typing import Any

import click

from revpipe.durations import duration
from revpipe.errors import Misconfigured


class Moment(click.ParamType[datetime]):
    """A time: ISO 8601 (in UTC, if it names no zone), or how long ago: 30m, 4h, 7d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time, aware. Fails with what may be written instead."""
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            try:
                return datetime.now(UTC) - duration(value.removesuffix(" ago"), "time")
            except (Misconfigured, OverflowError):
                self.fail(f"{value!r} is no time; write 2026-03-05T09:00 (UTC), or 4h for four hours ago", param, ctx)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


MOMENT = Moment()
