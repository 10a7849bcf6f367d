"""A TCP link that can be made to misbehave: it does to the bytes of two processes what networks do."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

MODES: Final = ("pass", "refuse", "cut", "stall", "stall-old", "latency")
_PIECE: Final = 65_536


class Proxy:
    """Listens on 127.0.0.1 and passes everything on to `upstream`, a (host, port) or the path of a Unix socket.

    pass       bytes flow
    refuse     connections are broken and new ones refused
    cut        connections are broken once, new ones flow
    stall      nothing moves on any connection, nobody is told; later all of it flows on
    stall-old  connections of this moment never move again, new ones flow: what a firewall forgot
    latency    every piece comes `seconds` later

    Runs in a thread of its own. `pace` is a latency that is always there, in seconds.
    """

    def __init__(self, upstream: tuple[str, int] | Path, pace: float = 0.0) -> None:
        self.port = 0
        self._upstream = upstream
        self._pace = pace
        self._delay = pace
        self._stalled = False
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> Self:
        """Listen on a free port, which it keeps."""
        self._thread.start()
        self._ask(self._listen())
        return self

    def stop(self) -> None:
        """Break everything and end the thread."""
        self._ask(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def set(self, mode: str, seconds: float = 0.0) -> None:
        """Change how it behaves; `pass` makes all well. Raises ValueError for an unknown mode."""
        if mode not in MODES:
            raise ValueError(f"there is no mode {mode!r}; there are: {', '.join(MODES)}")
        self._ask(self._change(mode, seconds))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ask(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _change(self, mode: str, seconds: float) -> None:
        self._delay = seconds if mode == "latency" else self._pace
        if mode in ("refuse", "cut"):
            self._break_all()
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif mode != "refuse" and self._server is None:
            await self._listen()
        if mode == "stall":
            for link in self._links:
                link.moves.clear()
        self._stalled = mode == "stall"
        if mode == "stall-old":
            for link in self._links:
                link.forgotten = True
                link.moves.clear()
        elif mode != "stall":
            for link in self._links:
                if not link.forgotten:
                    link.moves.set()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        self._break_all()
        # The pumps end by themselves, and a loop must not be closed with tasks in it.
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _break_all(self) -> None:
        for link in list(self._links):
            link.break_off()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        if self._stalled:
            link.moves.clear()
        self._links.add(link)
        try:
            if isinstance(self._upstream, Path):
                far_reader, far_writer = await asyncio.open_unix_connection(str(self._upstream))
            else:
                far_reader, far_writer = await asyncio.open_connection(*self._upstream)
            link.ends.append(far_writer)
            await asyncio.gather(self._pump(link, reader, far_writer), self._pump(link, far_reader, writer))
        except (OSError, asyncio.CancelledError):
            # Either end is gone; so is the other one then.
            pass
        finally:
            link.break_off()
            self._links.discard(link)

    async def _pump(self, link: "_Link", source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while piece := await source.read(_PIECE):
            if self._delay:
                await asyncio.sleep(self._delay)
            await link.moves.wait()
            target.write(piece)
            await target.drain()
        await link.moves.wait()
        # One side has said all. Neither Redis nor HTTP clients here go on with half a connection.
        link.break_off(kindly=True)


class _Link:
    """One connection through the proxy."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.ends = [near]
        self.moves = asyncio.Event()
        self.moves.set()
        self.forgotten = False

    def break_off(self, *, kindly: bool = False) -> None:
        for end in self.ends:
            if kindly:
                end.close()
            else:
                # Closed with a reset, as a firewall or a dead peer's kernel would, and not with a polite end.
                wire = end.get_extra_info("socket")
                if wire is not None:
                    with contextlib.suppress(OSError):
                        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.transport.abort()
