"""kombu's Redis transport, less its habit of making a client for every message that is published or acknowledged."""

from typing import Any, Final

from kombu.transport.redis import Channel, Transport

REDIS: Final = ("redis", "rediss")
"""How kombu names its Redis transports."""


class LeanChannel(Channel):
    """A channel that keeps the client of its pool.

    To make one costs more than what it is made for, a third of all that a worker's consuming thread does (py-spy,
    kombu 5.7 with redis-py 8). The clients that block, each with a connection of its own, stay as kombu makes them.
    """

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        kept = self._kept
        # A pool that was given up, after a connection broke, has another after it.
        if kept is None or kept.connection_pool is not self.pool:
            kept = self._kept = super()._create_client()
        return kept


class LeanTransport(Transport):
    """kombu's Redis transport over such channels."""

    Channel = LeanChannel
