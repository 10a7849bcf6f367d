"""A TCP link to a Redis that can go deaf: whoever asks for messages waits for ever, everybody else is served."""

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

ASKS = b"BRPOP"


class DeafLink:
    """Listens on 127.0.0.1 and passes on to the socket of a Redis. Runs in a thread of its own.

    While `deaf` is set, a connection on which somebody asks for messages swallows that and all that follows, as a
    middlebox does that has forgotten long waits. `swallowed` says that it happened.
    """

    def __init__(self, upstream: Path) -> None:
        self.deaf = threading.Event()
        self.swallowed = threading.Event()
        self.port = 0
        self._upstream = upstream
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

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._upstream))
        back = asyncio.create_task(self._pass_on(far_reader, writer))
        try:
            silent = False
            while piece := await reader.read(65_536):
                if self.deaf.is_set() and ASKS in piece:
                    silent = True
                    self.swallowed.set()
                if not silent:
                    far_writer.write(piece)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            far_writer.close()
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            writer.write(piece)
        writer.close()
