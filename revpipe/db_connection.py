"""A connection to PostgreSQL that never waits without end."""

from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

ANSWER_SECONDS = 35.0
"""Longer than a statement may take at the server: only a server or a network that fell silent takes more."""


class BoundedConnection(psycopg.Connection[Any]):
    """A server that is frozen, or a connection that the network forgot, gives an error and not a thread that hangs.

    Keep-alive finds out about a dead host only; a frozen server's kernel goes on acknowledging.
    """

    answer_seconds = ANSWER_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for one answer. Raises OperationalError, with the connection closed, if none comes in time."""
        bound = self.answer_seconds if timeout is None else timeout
        try:
            return super().wait(gen, interval, bound)
        except psycopg.errors._WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"PostgreSQL gave no answer for {bound:.0f} s") from error
