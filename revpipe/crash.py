"""For crash tests: a process kills itself at a named place, as the kernel would."""

import os
import signal

_armed: str | None = None


def arm(point: str | None) -> None:
    """Let this process die at `point` (setting REVPIPE_CRASH_POINT); None disarms."""
    global _armed  # noqa: PLW0603
    _armed = point


def crash_point(name: str) -> None:
    """Die here by SIGKILL if armed for `name`: nothing after this line runs, nothing is cleaned up."""
    if _armed == name:
        os.kill(os.getpid(), signal.SIGKILL)
