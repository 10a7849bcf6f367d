"""The sandbox as an HTTP server of this process, on 127.0.0.1 unless a test has a network of its own."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from adapters.sandbox.app import create_app
from adapters.sandbox.deliver import Postman
from adapters.sandbox.world import World


class SandboxServer:
    """Starts on `port` (0: any free one) of `host`. `clock` gives seconds since 1970 and may be moved by a test."""

    def __init__(self, port: int = 0, clock: Callable[[], float] = time.time, host: str = "127.0.0.1") -> None:
        self.world = World(clock)
        self._wanted = port
        self._host = host
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._postman: Postman | None = None

    @property
    def url(self) -> str:
        """`http://HOST:PORT`; the vendors are below it at /hubspot, /gong, /slack/api, /anthropic and /openai."""
        if self._server is None:
            raise RuntimeError("the sandbox has not been started")
        return f"http://{self._host}:{self._server.server_port}"

    def start(self) -> Self:
        """Listen, and answer from threads of this process. Raises OSError if the port is taken."""
        self.world.stopping.clear()
        self._server = make_server(
            self._host, self._wanted, create_app(self.world), threaded=True, request_handler=_Handler
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sandbox", daemon=True)
        self._thread.start()
        self._postman = Postman(self.world)
        self._postman.start()
        return self

    def stop(self) -> None:
        """Stop listening; calls that a fault holds back are let go. Does nothing if not started."""
        if self._server is None or self._thread is None or self._postman is None:
            return
        self.world.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._postman.join()
        self._server.server_close()
        self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Handler(WSGIRequestHandler):
    """Quiet, with kept-alive connections, and without the delay that small packets meet otherwise."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: what was done is in the effects."""
