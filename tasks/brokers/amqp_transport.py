"""AMQP connections that wait for no answer without end, as py-amqp's own do, and survive what they can't read."""

import time
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from kombu.transport import pyamqp

from tasks.brokers.amqp_frames import readable_frames


class BoundedConnection(pyamqp.Connection):
    """A connection that waits `patience` seconds for an answer, and is closed if none comes.

    Closed, since an answer that comes after its question was given up would be taken for the next one's: a late
    confirmation for that of another message.
    """

    def __init__(self, *args: Any, patience: float = 10.0, **options: Any) -> None:
        super().__init__(*args, write_timeout=patience, frame_handler=readable_frames, **options)
        self.patience = patience

    def drain_events(self, timeout: float | None = None) -> None:
        """Handle what comes; without a `timeout` of the caller's, an error if nothing does.

        Raises RecoverableConnectionError, and TimeoutError only to a caller that gave a `timeout`.
        """
        if timeout is not None:
            super().drain_events(timeout=timeout)
            return
        deadline = time.monotonic() + self.patience
        try:
            # A heartbeat is read, too, but answers nothing; it must not begin the wait anew.
            while not self.blocking_read(timeout=max(0.05, deadline - time.monotonic())):
                if time.monotonic() > deadline:
                    raise TimeoutError
        except TimeoutError as error:
            self.collect()
            raise RecoverableConnectionError(f"no answer from the broker within {self.patience:g} s") from error


class BoundedTransport(pyamqp.Transport):
    """The transport that Celery is given for RabbitMQ."""

    Connection = BoundedConnection
