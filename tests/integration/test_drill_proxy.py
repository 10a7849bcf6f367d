"""What the rehearsal's proxy does to connections."""

import socket
import threading
from collections.abc import Iterator

import pytest

from revpipe.drill.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says again what it is told."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while piece := connection.recv(100):
                    connection.sendall(piece)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[:2]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    with Proxy(echo) as started:
        yield started


def call(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5)


def says(connection: socket.socket, word: bytes) -> bytes:
    connection.sendall(word)
    return connection.recv(100)


def test_it_passes_bytes(proxy: Proxy) -> None:
    with call(proxy) as one, call(proxy) as other:
        assert says(one, b"a") == b"a"
        assert says(other, b"b") == b"b"


def test_a_cut_breaks_what_is_there_and_nothing_else(proxy: Proxy) -> None:
    with call(proxy) as old:
        assert says(old, b"a") == b"a"
        proxy.set("cut")
        with pytest.raises(ConnectionError):
            says(old, b"b")
    with call(proxy) as new:
        assert says(new, b"c") == b"c"


def test_refused_until_all_is_well(proxy: Proxy) -> None:
    proxy.set("refuse")
    with pytest.raises(ConnectionRefusedError):
        call(proxy)
    proxy.set("pass")
    with call(proxy) as new:
        assert says(new, b"c") == b"c"


def test_a_stall_loses_nothing(proxy: Proxy) -> None:
    with call(proxy) as one:
        assert says(one, b"a") == b"a"
        proxy.set("stall")
        with pytest.raises(TimeoutError):
            says(one, b"b")
        with call(proxy) as silent, pytest.raises(TimeoutError):
            says(silent, b"x")
        proxy.set("pass")
        assert one.recv(100) == b"b"


def test_a_forgotten_connection_stays_silent_while_new_ones_work(proxy: Proxy) -> None:
    with call(proxy) as old:
        assert says(old, b"a") == b"a"
        proxy.set("stall-old")
        with call(proxy) as new:
            assert says(new, b"c") == b"c"
        proxy.set("pass")
        with pytest.raises(TimeoutError):
            says(old, b"b")


def test_an_unknown_mode_is_refused(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match="stall-old"):
        proxy.set("slow")
