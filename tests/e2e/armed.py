"""Processes that are to kill themselves at a crash point: real ones, forked from a server that has all imported."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import celery.bin.worker
import celery.worker.worker  # noqa: F401
from werkzeug.serving import make_server

from config.settings import load
from revpipe import keeper as keeping
from revpipe import observability
from revpipe.bootstrap import for_keeper, for_web
from revpipe.web.app import create_app
from tasks import worker as working

SECONDS = 40


def context() -> ForkServerContext:
    """Forks children from a process without threads that has imported this module."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.e2e.armed"])
    return made


def worker(environment: Mapping[str, str], log: Path) -> None:
    """A worker of all queues with one thread."""
    _prepare(environment, log)
    working.main(["all"], 1)


def keeper(environment: Mapping[str, str], log: Path) -> None:
    """A keeper."""
    _prepare(environment, log)
    settings = load()
    observability.configure(settings, "keeper")
    keeping.Keeper(for_keeper(settings)).run(lambda: False)


def web(environment: Mapping[str, str], log: Path, port: int) -> None:
    """A web process on a port."""
    _prepare(environment, log)
    settings = load()
    observability.configure(settings, "web")
    make_server("127.0.0.1", port, create_app(for_web(settings)), threaded=True).serve_forever()


def killed_themselves(children: Sequence[BaseProcess], log: Path) -> None:
    """Wait for the end of all; fails unless each ended by SIGKILL, as only a crash point sends it here."""
    for child in children:
        child.join(SECONDS)
        code = child.exitcode
        if code is None:
            child.kill()
        assert code == -signal.SIGKILL, f"{child.name} ended with {code}:\n{log.read_text(errors='replace')[-3000:]}"


def _prepare(environment: Mapping[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("ab") as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
