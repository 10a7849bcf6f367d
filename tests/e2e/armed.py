"""What processes do that are to kill themselves at a crash point; tests/e2e/preloaded.py forks them."""

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server

from config.settings import load
from revpipe import keeper as keeping
from revpipe import observability
from revpipe.bootstrap import for_keeper, for_web
from revpipe.web.app import create_app
from tests.e2e.preloaded import Forked

SECONDS = 40


def worker(queues: Sequence[str] = ("all",), deaf_after: float = 60.0) -> None:
    """A worker with one thread."""
    from tasks import worker as working  # here, for tests/e2e/preload.py reads this file

    working.main(queues, 1, deaf_after=deaf_after)


def keeper() -> None:
    """A keeper."""
    settings = load()
    observability.configure(settings, "keeper")
    keeping.Keeper(for_keeper(settings)).run(lambda: False)


def web(port: int) -> None:
    """A web process on a port."""
    settings = load()
    observability.configure(settings, "web")
    make_server("127.0.0.1", port, create_app(for_web(settings)), threaded=True).serve_forever()


class Armed(Forked):
    """A process armed for a crash point."""

    def __init__(
        self, point: str, values: Mapping[str, str], log: Path, work: Callable[..., None], *given: Any
    ) -> None:
        super().__init__({**values, "REVPIPE_CRASH_POINT": point}, log, log, work, *given)
        self.name = f"{work.__name__} at {point}"


def killed_themselves(children: Sequence[Armed], log: Path) -> None:
    """Wait for the end of all; fails unless each ended by SIGKILL, as only a crash point sends it here."""
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(SECONDS)
        code = child.returncode
        child.kill()
        assert code == -signal.SIGKILL, f"{child.name} ended with {code}:\n{log.read_text(errors='replace')[-3000:]}"
