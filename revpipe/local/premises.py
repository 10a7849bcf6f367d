"""What `revpipe up` makes sure of before it starts anything: the data folder is its own, the port is free."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from revpipe.errors import Misconfigured
from revpipe.local.sockets import free_port


@contextmanager
def sole(data_dir: Path) -> Iterator[None]:
    """Hold the data folder's lock, which the kernel gives up however this process ends.

    Raises Misconfigured if another `revpipe up` or `demo` holds it.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Misconfigured(
            f"{data_dir} can't be used as the data folder ({error.strerror}); name another with --data-dir"
        ) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 20).decode(errors="replace").strip()
            raise Misconfigured(
                f"revpipe already runs on {data_dir}{f' as process {holder}' if holder else ''}."
                " Stop that one, or give this one another --data-dir."
            ) from None
        os.truncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        yield
    finally:
        os.close(file)


def claim_port(port: int) -> int:
    """`port` if nobody listens there, a free one for 0. Raises Misconfigured if it can't be had."""
    if port == 0:
        return free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Misconfigured(
                f"port {port} of 127.0.0.1 can't be had ({error.strerror}). Stop what listens there, or choose"
                " another with --port; 0 takes a free one."
            ) from error
    return port
