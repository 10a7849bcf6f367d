"""The consumer of our workers: no message that can't be run is deleted before it is put aside."""

from collections.abc import Callable
from typing import Any, Final

import structlog
from kombu.message import Message
from vine import promise

from tasks.brokers.fair_consumer import FairConsumer
from tasks.brokers.redis_channel import REDIS
from tasks.faults import Fault, fault_in
from tasks.raw_entries import LookingTransport

log = structlog.get_logger(__name__)

_UNFORESEEN: Final = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What a message may still make Celery raise: none of these ever comes from the connection or the pool."""


class ParkingConsumer(FairConsumer):
    """Checks each message first; a bad one is put aside, then acknowledged. Uses `app.parking` and `app.watchdog`.

    Celery itself acknowledges most kinds with no more than a log line, and ends or reconnects for ever at the
    others. A message that nobody takes (NotParked) is not acknowledged: the connection is given up, and the message
    with it goes back to its queue.
    """

    def connection_for_read(self, heartbeat: Any = None) -> Any:
        """A connection whose channels also know entries that are no message."""
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        if connection.transport_cls in REDIS:
            connection.transport_cls = LookingTransport
            connection.transport_options["parking"] = self.app.parking
        return self.ensure_connected(connection)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Give the broken connection up, so that a new one is made.

        While the broker refuses connections, kombu (5.7) wants to hand back what was in work over a transport that
        it has given up a moment before. That must not end the worker: the broker hands it out again by itself, or
        the sweep does.
        """
        try:
            super().on_connection_error_after_connected(exc)
        except (AttributeError, *self.connection_errors) as error:
            log.warning("connection_given_up", error=str(error))

    def create_task_handler(self, promise: Any = promise) -> Callable[[Message], Any]:
        """What is called with each message that arrives."""
        work = super().create_task_handler(promise)

        def on_task_received(message: Message) -> None:
            self.app.watchdog.heard()
            fault = fault_in(message, self.app.tasks)
            if fault is None:
                try:
                    work(message)
                except _UNFORESEEN as error:
                    fault = Fault.of("unworkable", error)
            if fault is not None:
                self._set_aside(message, fault)

        return on_task_received

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """The body can't be read: it is compressed in a way that is none."""
        self._set_aside(message, Fault.of("undecodable", exc))

    def on_unknown_message(self, body: Any, message: Message) -> None:  # noqa: ARG002
        """A message without a task."""
        self._set_aside(message, Fault("no_task", "the message names no task in its headers"))

    def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:  # noqa: ARG002
        """A task that this worker does not know."""
        self._set_aside(message, Fault.of("unknown_task", exc))

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:  # noqa: ARG002
        """A message that Celery refuses for what it holds."""
        self._set_aside(message, Fault.of("unworkable", exc))

    def _set_aside(self, message: Message, fault: Fault) -> None:
        self.app.parking.message(message, fault)
        if not message.acknowledged:
            message.ack_log_error(log, self.connection_errors)
