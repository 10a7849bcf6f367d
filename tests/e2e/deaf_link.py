"""A TCP link to a broker that can go deaf: who takes messages hears nothing any more, everybody else is served."""

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

ASKS = b"BRPOP"
"""What a worker says to Redis for each message that it wants, again every second while there is none."""
CONSUMES = b"\x00\x3c\x00\x14"
"""basic.consume: what a worker says to RabbitMQ, once for each of its queues (AMQP 0-9-1, 1.8.3.3)."""


class DeafLink:
    """Listens on 127.0.0.1 and passes on to the broker at `upstream`. Runs in a thread of its own.

    While it is deaf, a connection on which somebody takes messages swallows all that either side says, as a middlebox
    does that has forgotten long waits.
    """

    def __init__(self, upstream: tuple[str, int] | Path) -> None:
        self.port = 0
        self._upstream = upstream
        self._deaf = threading.Event()
        self._swallowed = threading.Event()
        self._taking: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="deaf link", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def deafen(self) -> None:
        """Go deaf, and wait until a connection is."""
        self._deaf.set()
        self._loop.call_soon_threadsafe(self._silence_those_who_wait)
        assert self._swallowed.wait(30)

    def heal(self) -> None:
        """Let new connections be as they should; what is silent stays so."""
        self._deaf.clear()

    def _silence_those_who_wait(self) -> None:
        """To RabbitMQ a worker says nothing more while it waits, so there is nothing to swallow first."""
        for one in self._taking:
            self._silence(one)

    def _silence(self, one: asyncio.StreamWriter) -> None:
        self._silent.add(one)
        self._swallowed.set()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._upstream, Path):
            return await asyncio.open_unix_connection(str(self._upstream))
        return await asyncio.open_connection(*self._upstream)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await self._open()
        back = asyncio.create_task(self._pass_on(far_reader, writer))
        try:
            while piece := await reader.read(65_536):
                if CONSUMES in piece:
                    self._taking.add(writer)
                if self._deaf.is_set() and (ASKS in piece or writer in self._taking):
                    self._silence(writer)
                if writer not in self._silent:
                    far_writer.write(piece)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            self._taking.discard(writer)
            far_writer.close()
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            if writer not in self._silent:
                writer.write(piece)
        writer.close()
