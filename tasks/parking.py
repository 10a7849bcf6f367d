"""Putting a bad message aside: into its dead queue, or where that is no way, straight into the ledger."""

import errno
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from kombu.message import Message
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from revpipe import undeliverable, work
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.ports import DeadMessage
from tasks.dead_queue import NoRoom, key_of
from tasks.faults import Fault

log = structlog.get_logger(__name__)

PAUSE: Final = 1.0
"""Seconds until a message that nobody took is given back. It holds nothing up: without the ledger no work is done."""
KEPT: Final = 1_000
"""How many raw entries are held in memory while neither broker nor ledger takes them."""


class NotParked(ConnectionError):
    """Neither the broker nor the ledger took the message: the worker must not acknowledge it.

    A connection error, so that the consumer gives its messages back and connects anew. It has a number, for one
    without is passed over by what Celery (5.7) first does on a new connection to RabbitMQ (`_quick_drain`), and the
    message would stay in this worker's hands for good.
    """

    def __init__(self, message: str) -> None:
        super().__init__(errno.ECONNABORTED, message)


class Parking:
    """Where a worker leaves what it can't run. One for each process; `put` is the broker's `put_dead`."""

    def __init__(self, put: Callable[[DeadMessage], None], engine: Engine) -> None:
        self._put = put
        self._engine = engine
        self._kept: list[DeadMessage] = []
        self._lock = threading.Lock()

    def message(self, message: Message, fault: Fault) -> None:
        """Put a message aside; it may be acknowledged afterwards. Raises NotParked."""
        body = _bytes(message.body)
        headers = dict(message.headers or {})
        delivery = message.delivery_info or {}
        dead = DeadMessage(
            key=key_of(headers, body),
            queue=str(delivery.get("routing_key") or "unknown"),
            reason=fault.reason,
            error=fault.error,
            traceback=fault.traceback,
            body=body,
            headers=headers,
            properties={
                "content_type": message.content_type,
                "content_encoding": message.content_encoding,
                "redelivered": bool(delivery.get("redelivered")),
            },
            parked_at=datetime.now(UTC),
            worker=work.worker_name(),
        )
        try:
            self._park(dead)
        except NotParked:
            time.sleep(PAUSE)
            raise

    def entry(self, queue: str, entry: bytes, fault: Fault) -> None:
        """Put aside what is no message at all. The broker has removed it already, so nothing may be raised here.

        What nobody takes now is held in memory and tried again by `again`.
        """
        dead = DeadMessage(
            key=key_of({}, entry),
            queue=queue,
            reason=fault.reason,
            error=fault.error,
            traceback=fault.traceback,
            body=entry,
            parked_at=datetime.now(UTC),
            worker=work.worker_name(),
        )
        try:
            self._park(dead)
        except NotParked:
            with self._lock:
                self._kept = [*self._kept, dead][-KEPT:]

    def again(self) -> None:
        """Try again to put aside what is held in memory."""
        with self._lock:
            kept, self._kept = self._kept, []
        for at, dead in enumerate(kept):
            try:
                self._park(dead)
            except NotParked:
                with self._lock:
                    self._kept += kept[at:]
                return

    def _park(self, dead: DeadMessage) -> None:
        try:
            self._put(dead)
        except (NoRoom, Transient, OSError) as error:
            self._to_ledger(dead, type(error).__name__)
        log.error("message_parked", queue=dead.queue, reason=dead.reason, key=dead.key)

    def _to_ledger(self, dead: DeadMessage, why: str) -> None:
        try:
            with transaction(self._engine) as tx:
                undeliverable.write(tx, [dead], datetime.now(UTC))
        except SQLAlchemyError as error:
            log.error("message_not_parked", queue=dead.queue, broker=why, ledger=type(error).__name__)
            raise NotParked(f"neither the broker ({why}) nor the ledger took a bad message") from error


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass")
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    return b"" if body is None else repr(body).encode("utf-8", "surrogatepass")
