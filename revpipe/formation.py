"""The processes of `revpipe up`: started together, restarted when one dies, stopped together."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from config.queues import QUEUES, needed_settings
from config.settings import Settings, require
from revpipe import embedded, far_side, leases, lifeline, migrate
from revpipe.db import make_engine, transaction
from revpipe.errors import Misconfigured
from revpipe.keeper import DUTY
from revpipe.sockets import free_port

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 25.0
RESTART_SECONDS: Final = 1.0


@dataclass(slots=True)
class Child:
    """One process of the formation."""

    name: str
    arguments: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0


@dataclass(slots=True)
class Formation:
    """What runs. `url` is the web process, `sandbox` the simulated vendors if there are any."""

    url: str
    logs: Path
    settings: Settings
    lease: embedded.Lease | None
    sandbox: far_side.FarSide | None = None
    children: list[Child] = field(default_factory=list)
    stopping: bool = False
    _lifeline: tuple[int, int] = field(default_factory=os.pipe)

    def start(self, child: Child) -> None:
        """Start one process, its output going to its own log file."""
        read, _ = self._lifeline
        with (self.logs / f"{child.name}.log").open("ab") as log:
            child.process = subprocess.Popen(
                [sys.executable, "-m", *child.arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=_environment(self.settings, self.sandbox, read),
                pass_fds=(read,),
                start_new_session=True,
            )
        child.started = time.monotonic()

    def tend(self) -> None:
        """Start again what has died; a vendor of the sandbox or a database that is gone ends everything."""
        if self.lease is not None and not self.lease.alive:
            raise Misconfigured("the embedded servers are gone; start revpipe up again")
        for child in self.children:
            running = child.process is not None and child.process.poll() is None
            if not running and not self.stopping and time.monotonic() - child.started > RESTART_SECONDS:
                self.start(child)

    def wait(self) -> None:
        """Tend the processes until told to stop."""
        while not self.stopping:
            self.tend()
            time.sleep(0.5)

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL to those that have not ended in time."""
        self.stopping = True
        alive = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in alive:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for end in self._lifeline:
            os.close(end)


@contextmanager
def running(settings: Settings, port: int, *, sandbox: bool) -> Iterator[Formation]:
    """Everything, up and answering, for the length of a `with` block.

    Raises SettingsError for what is missing, Misconfigured when something does not start.
    """
    port = port or free_port()
    with ExitStack() as stack:
        vendors = far_side.simulated() if sandbox else None
        if vendors is None:
            require(settings, *needed_settings(tuple(QUEUES)))
        settings, lease = _with_servers(settings, stack)
        url = f"http://127.0.0.1:{port}"
        settings = replace(settings, public_url=url if sandbox or not settings.public_url else settings.public_url)
        logs = settings.revpipe_data_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        _migrate(settings)
        formation = Formation(url, logs, settings, lease, vendors)
        formation.children = [Child(name, arguments) for name, arguments in _commands(port, vendors)]
        _stop_on_signals(formation)
        stack.callback(formation.stop)
        for child in formation.children:
            formation.start(child)
        _await_ready(formation)
        yield formation


def _commands(port: int, vendors: far_side.FarSide | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    if vendors is not None:
        yield "sandbox", vendors.command
    yield "web", ("revpipe", "web", "--port", str(port), "--processes", "1")
    yield "worker-urgent", ("revpipe", "worker", "-c", "4", "immediate", "high")
    yield "worker-bulk", ("revpipe", "worker", "-c", "4", "all", "--", "-immediate", "-high")
    yield "keeper", ("revpipe", "keeper")
    yield "beat", ("revpipe", "beat")


def _with_servers(settings: Settings, stack: ExitStack) -> tuple[Settings, embedded.Lease | None]:
    if settings.database_url and settings.redis_url:
        return settings, None
    lease = stack.enter_context(embedded.servers(settings.revpipe_data_dir))
    filled = replace(
        settings,
        database_url=settings.database_url or lease.database_url,
        redis_url=settings.redis_url or lease.redis_url,
    )
    return filled, lease


def _migrate(settings: Settings) -> None:
    engine = make_engine(str(settings.database_url), pool_size=1)
    migrate.upgrade(engine)
    engine.dispose()


def _environment(settings: Settings, vendors: far_side.FarSide | None, read: int) -> Mapping[str, str]:
    environment = dict(os.environ)
    environment |= {
        "DATABASE_URL": str(settings.database_url),
        "REDIS_URL": str(settings.redis_url),
        "REVPIPE_DATA_DIR": str(settings.revpipe_data_dir),
        "PUBLIC_URL": str(settings.public_url),
        lifeline.VARIABLE: str(read),
    }
    if vendors is not None:
        environment |= vendors.environment
    return environment


def _stop_on_signals(formation: Formation) -> None:
    def stop(*_: object) -> None:
        formation.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _await_ready(formation: Formation) -> None:
    """Wait until web, workers, keeper and beat have answered; say whose log to read if one does not."""
    deadline = time.monotonic() + START_SECONDS
    waiting: Sequence[str] = ["everything"]
    while time.monotonic() < deadline and not formation.stopping:
        waiting = _not_ready(formation)
        if not waiting:
            return
        dead = [one.name for one in formation.children if one.process and one.process.poll() is not None]
        if dead:
            raise Misconfigured(_last_words(formation, dead[0]))
        time.sleep(0.1)
    if not formation.stopping:
        raise Misconfigured(_last_words(formation, waiting[0]))


def _not_ready(formation: Formation) -> list[str]:
    missing = []
    if not _answers(formation.url + "/healthz"):
        missing.append("web")
    if formation.sandbox and not _answers(formation.sandbox.url + "/_sandbox/effects"):
        missing.append("sandbox")
    engine = make_engine(str(formation.settings.database_url), pool_size=1)
    try:
        with transaction(engine) as tx:
            if leases.state(tx, DUTY) is None:
                missing.append("keeper")
    finally:
        engine.dispose()
    for child in formation.children:
        marker = READY_LINES.get(child.name.split("-", maxsplit=1)[0])
        log = formation.logs / f"{child.name}.log"
        if marker and marker not in log.read_bytes():
            missing.append(child.name)
    return missing


READY_LINES: Final = {"worker": b"worker_ready", "beat": b"beat_ready"}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback URL
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _last_words(formation: Formation, name: str) -> str:
    log = formation.logs / f"{name}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if log.exists() else []
    return f"{name} did not start; the end of {log}:\n" + "\n".join(lines)
