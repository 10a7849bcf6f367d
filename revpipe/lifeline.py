"""Dying with the parent: a child of `revpipe up` holds one end of a pipe that only `up` can keep open.

`python -m revpipe.lifeline MODULE ARGUMENT...` runs a module that knows nothing of this, and ends it likewise.
"""

import os
import runpy
import signal
import sys
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


def main() -> None:
    """Watch, and run the module named on the command line in this process."""
    watch()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
