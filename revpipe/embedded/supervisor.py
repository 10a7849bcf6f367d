"""The process that runs the embedded servers of one data folder for as long as anyone needs them.

`python -m revpipe.embedded.supervisor FOLDER` goes to the background. It closes its output once it listens, or once it
finds that another one does; whatever it printed before is a complaint. `revpipe.embedded.client` starts it.
"""

import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from revpipe.embedded.places import Places
from revpipe.embedded.servers import EmbeddedServers
from revpipe.errors import Misconfigured

FIRST_GRACE: Final = 5.0
"""Seconds for the first client, on a busy machine, to come."""
GRACE: Final = 1.0
"""Seconds to wait for another client when the last is gone, so that commands in a row share one start."""
LOCK_SECONDS: Final = 60.0
"""How long to wait for an earlier supervisor that is stopping."""
_TICK: Final = 0.25


class Supervisor:
    """Holds one connection for each client; starts the servers for the first, stops them after the last."""

    def __init__(self, servers: EmbeddedServers, listener: socket.socket) -> None:
        self._servers = servers
        self._listener = listener
        self._clients: set[socket.socket] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)

    def serve(self) -> None:
        """Run until no client is left. Raises Misconfigured if the servers can't be kept running."""
        since, grace = time.monotonic(), FIRST_GRACE
        while self._clients or time.monotonic() - since < grace:
            for key, _ in self._selector.select(_TICK):
                if key.fileobj is self._listener:
                    self._admit()
                else:
                    self._hear(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
                since, grace = time.monotonic(), GRACE
            self._servers.keep_up()

    def _admit(self) -> None:
        client, _ = self._listener.accept()
        try:
            self._servers.start()
        except (Misconfigured, OSError) as error:
            _tell(client, {"error": str(error)})
            client.close()
            raise Misconfigured(str(error)) from error
        if _tell(client, {"urls": self._servers.urls}):
            self._clients.add(client)
            self._selector.register(client, selectors.EVENT_READ)
        else:
            client.close()

    def _hear(self, client: socket.socket) -> None:
        """A client never speaks: whatever can be read is its end."""
        with suppress(ConnectionError):
            if client.recv(4096):
                return
        self._selector.unregister(client)
        self._clients.discard(client)
        client.close()

    def stop(self) -> None:
        """Let nobody in, then stop the servers, then let the clients go.

        A client that comes in between was never told of these servers: its connection ends, it tries again,
        and the supervisor that it starts waits for this one's lock.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._servers.places.control.unlink(missing_ok=True)
        self._listener.close()
        self._servers.stop()
        for client in self._clients:
            client.close()
        shutil.rmtree(self._servers.places.runtime, ignore_errors=True)


def main() -> None:
    """Check what can be checked, go to the background, and supervise the folder named on the command line."""
    os.umask(0o077)
    try:
        servers = EmbeddedServers(Places.of(Path(sys.argv[1])))
        # Twice removed from the client, so that nobody who lives on has to reap this process.
        if os.fork():
            os._exit(0)
        lock = _take_turn(servers.places)
        if lock is None:
            return
        servers.prepare()
        supervisor = Supervisor(servers, _listen(servers.places))
    except (Misconfigured, OSError) as error:
        sys.stdout.write(f"{error}\n")
        sys.exit(2)
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(0))
        _turn_to_log(servers.places.log("supervisor"))
        supervisor.serve()
    except Misconfigured as error:
        sys.exit(str(error))
    finally:
        supervisor.stop()


def _take_turn(places: Places) -> int | None:
    """The lock that makes this the folder's only supervisor, or None if another one serves it."""
    lock = os.open(places.lock("supervisor"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A supervisor that stops removes its socket first and keeps its lock to the end.
            if places.control.exists():
                return None
            time.sleep(0.02)
        else:
            return lock
    raise Misconfigured(
        f"Another process holds {places.lock('supervisor')} and does not serve. Look for it with: fuser or lsof."
    )


def _listen(places: Places) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(places.control))
    listener.listen(128)
    return listener


def _turn_to_log(log: Path) -> None:
    """Write to the log from here on; closing the output tells the client that it may connect."""
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)


def _tell(client: socket.socket, answer: dict[str, object]) -> bool:
    """Send one line of JSON; False if the client is gone. It fits the socket's buffer, so it can't block."""
    try:
        client.sendall(json.dumps(answer).encode() + b"\n")
    except ConnectionError:
        return False
    return True


if __name__ == "__main__":
    main()
