"""The process that `revpipe up` forks its processes from: `python -m revpipe.local.fork_server FD`.

It imports what web, worker, keeper and beat need, has one thread, opens no connection and makes nothing of its own: a
fork is then as good as a start. It ends when the other end of FD is closed, and leaves alone what it forked.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from revpipe import lifeline
from revpipe.local.forking import LENGTH_BYTES

MODULES: Final = (
    "backoff",
    "celery.app.amqp",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.thread",
    "celery.events.state",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.strategy",
    "cryptography.hazmat.primitives.serialization",
    "encodings.idna",
    "gunicorn.app.base",
    "gunicorn.glogging",
    "gunicorn.workers.gthread",
    "jwt",
    "kombu.transport.redis",
    "requests",
    "revpipe.cli",
    "revpipe.commands.processes",
    "revpipe.commands.web",
    "sqlalchemy.dialects.postgresql.psycopg",
    "tasks.consumer",
    "tasks.parking",
    "tasks.queue_request",
    "tasks.raw_entries",
    "tasks.watchdog",
)
"""By name, as the commands find the tasks: this layer is below theirs. The rest is imported after the fork, such as the
vendors' models: only who asks one reads it. tasks.worker is missing, since the command runs it as the main module, and
a module that is there under two names listens to Celery twice."""
ADAPTERS: Final = ("SOURCES", "PROVIDERS", "ACTIONS", "MESSENGERS")
"""The tables of adapters/registry.py whose adapters every one has."""


def main() -> None:
    """Serve; in a process that was forked, run what it was forked for."""
    line = socket.socket(fileno=int(sys.argv[1]))
    preload()
    job = _serve(line)
    if job is not None:
        _run(job)


def preload() -> None:
    """Import all that is common, and keep collections from it: they would copy its pages for each process."""
    for name in (*MODULES, *_tasks(), *_adapters()):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _tasks() -> tuple[str, ...]:
    modules: tuple[str, ...] = importlib.import_module("tasks.app").TASK_MODULES
    return modules


def _adapters() -> Iterator[str]:
    registry = importlib.import_module("adapters.registry")
    for table in ADAPTERS:
        for place in getattr(registry, table).values():
            yield place.partition(":")[0]


def _serve(line: socket.socket) -> dict[str, Any] | None:
    """Fork on request and tell of ends; returns in each forked process with its request, and at the end with none."""
    children: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not line:
                    _bury(selector, key.fd, children, line)
                    continue
                request, files = _listen(line)
                if request is None:
                    return None
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    line.close()
                    for handle in children:
                        os.close(handle)
                    return request | {"files": files}
                for file in files:
                    os.close(file)
                handle = os.pidfd_open(pid)
                children[handle] = pid
                selector.register(handle, selectors.EVENT_READ)
                _tell(line, forked=pid)


def _bury(selector: selectors.BaseSelector, handle: int, children: dict[int, int], line: socket.socket) -> None:
    pid = children.pop(handle)
    selector.unregister(handle)
    os.close(handle)
    _, status = os.waitpid(pid, 0)
    _tell(line, ended=pid, code=os.waitstatus_to_exitcode(status))


def _listen(line: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """One request and its files; none when the other side is gone."""
    try:
        head, files, _, _ = socket.recv_fds(line, LENGTH_BYTES, 2)
        if len(head) < LENGTH_BYTES:
            return None, files
        body = b""
        while len(body) < int.from_bytes(head, "big"):
            piece = line.recv(65_536)
            if not piece:
                return None, files
            body += piece
    except ConnectionError:
        return None, []
    request: dict[str, Any] = json.loads(body)
    return request, files


def _tell(line: socket.socket, **told: int) -> None:
    try:
        line.sendall(json.dumps(told).encode() + b"\n")
    except ConnectionError:
        # Nobody wants to know any more; the next look at the line ends this process.
        return


def _run(job: dict[str, Any]) -> None:
    """Become what was asked for. Ends like any Python process, exit handlers and all."""
    output, held = job["files"]
    os.setsid()
    Path("/proc/self/comm").write_text(job["name"], encoding="utf-8")
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(job["environment"])
    os.environ[lifeline.VARIABLE] = str(held)
    sys.argv = [*job["arguments"]]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
