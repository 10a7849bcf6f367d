"""Dying with the parent: a child of `revpipe up` holds one end of a pipe that only `up` can keep open."""

import os
import signal
import threading
import time
from typing import Final

VARIABLE: Final = "REVPIPE_LIFELINE_FD"
PATIENCE_SECONDS: Final = 20.0


def watch() -> None:
    """End this process once the parent is gone, however it died: SIGTERM first, SIGKILL after a while.

    Does nothing in a process that was not started by `revpipe up`.
    """
    number = os.environ.pop(VARIABLE, None)
    if number is not None:
        threading.Thread(target=_wait, args=(int(number),), name="lifeline", daemon=True).start()


def _wait(fd: int) -> None:
    while os.read(fd, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
