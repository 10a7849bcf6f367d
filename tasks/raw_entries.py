"""Below Celery: entries of a Redis queue that are no message at all, met before the transport dies of them.

Whoever may push to the broker can push anything. kombu decodes an entry right after BRPOP, and what it can't decode
ends the worker, with the entry gone. Here the reply to BRPOP is looked at first: the one place through which every
entry of a queue comes, and a method of redis-py's own interface.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from tasks.brokers.redis_channel import LeanChannel, LeanTransport
from tasks.faults import Fault


class LookingRedis(redis.Redis):
    """A client that shows each entry that BRPOP brings to `keep`, which says whether the transport gets it."""

    def __init__(self, *args: Any, keep: Callable[[bytes, bytes], bool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._keep = keep

    def parse_response(self, connection: Any, command_name: Any, **options: Any) -> Any:
        """The server's reply; an entry that is not kept looks like a time-out, after which the transport asks anew."""
        reply = super().parse_response(connection, command_name, **options)
        if command_name == "BRPOP" and reply and not self._keep(*reply):
            return None
        return reply


class LookingChannel(LeanChannel):
    """A channel that puts aside what can't become a message."""

    from_transport_options = (*LeanChannel.from_transport_options, "parking")  # type: ignore[assignment]
    parking: Any = None

    def _connparams(self, asynchronous: bool = False) -> Any:
        # kombu (5.7) fails here with an AttributeError, which ends the worker, when a task that began before the
        # connection broke is acknowledged after a new one was made. As an error of the connection it is only noted.
        if self.connection is None or self.connection.client is None:
            message = "the connection over which the message came has been given up"
            raise redis.ConnectionError(message)
        return super()._connparams(asynchronous=asynchronous)

    def _get_client(self) -> Any:
        return partial(LookingRedis, keep=self._is_message)

    def _is_message(self, key: bytes, entry: bytes) -> bool:
        if self.parking is None:
            return True
        self.parking.again()
        fault = self._fault_in(entry)
        if fault is None:
            return True
        self.parking.entry(bytes_to_str(key).rsplit(self.sep, 1)[0], entry, fault)
        return False

    def _fault_in(self, entry: bytes) -> Fault | None:
        try:
            payload = loads(bytes_to_str(entry))
        # What the decoder may raise depends on the entry, and none of it is to end the worker.
        except Exception as error:  # noqa: BLE001
            return Fault.of("not_json", error)
        try:
            # The very steps that follow: the message is made, and its id and way noted as not acknowledged.
            message = self.Message(payload, channel=self)
            where = message.delivery_info
            usable = isinstance(message.delivery_tag, str) and {"exchange", "routing_key"} <= where.keys()
        except Exception as error:  # noqa: BLE001
            return Fault.of("no_envelope", error)
        return None if usable else Fault("no_envelope", "the entry does not say whence it came and where it goes")


class LookingTransport(LeanTransport):
    """kombu's Redis transport over such channels."""

    Channel = LookingChannel
