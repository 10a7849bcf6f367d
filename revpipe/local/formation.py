"""The processes of `revpipe up`: started together, restarted when one dies, stopped together."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine

from config.queues import QUEUES, needed_settings, queue_for
from config.settings import Settings, require
from revpipe import leases, lifeline, migrate, secret_key
from revpipe.db import make_engine, server_time, transaction
from revpipe.embedded import client as embedded
from revpipe.errors import Misconfigured
from revpipe.keeper import DUTY
from revpipe.local import far_side, premises
from revpipe.local.child import Child, rotate
from revpipe.local.forking import ForkServer, fork_server
from revpipe.local.readiness import Readiness

STOP_SECONDS: Final = 20.0
HOPELESS_SECONDS: Final = 3.0
"""How long processes may take to stop when the database is gone: they have nothing left to bring to an end."""
TICK_SECONDS: Final = 0.25
COMPUTED: Final = tuple(queue_for(stage, one) for stage in ("decide", "execute") for one in ("standard", "low"))
"""Queues of work that computes, which has a process of its own: it runs beside the one that mostly waits."""
NICE: Final = "5"
"""How far the worker of bulk work gives way to the other processes; see nice(1)."""


class Collapsed(Exception):
    """Something that everything stands on is gone while running; the text says what."""


@dataclass(slots=True)
class Formation:
    """What runs. `url` is the web process, `sandbox` the simulated vendors if there are any."""

    url: str
    logs: Path
    settings: Settings
    lease: embedded.Lease | None
    sandbox: far_side.FarSide | None
    say: Callable[[str], None]
    forks: ForkServer | None = None
    children: list[Child] = field(default_factory=list)
    stopping: bool = False
    patience: float = STOP_SECONDS
    _lifeline: tuple[int, int] = field(default_factory=os.pipe)

    def start(self, child: Child) -> None:
        """Start one process, tied to the life of this one."""
        child.start(_environment(self.settings, self.sandbox, self._lifeline[0]), self._lifeline[0], self.forks)

    def tend(self) -> None:
        """Start again what has died, each time a little later. Raises Collapsed if the servers are gone."""
        if self.stopping:
            return
        if self.lease is not None and not self.lease.alive:
            self.patience = HOPELESS_SECONDS
            log = self.settings.revpipe_data_dir / "supervisor.log"
            raise Collapsed(f"the embedded PostgreSQL and Valkey are gone (see {log}); start revpipe up again")
        for child in self.children:
            child.bound_log()
            if child.running:
                continue
            if child.name == "sandbox":
                raise Collapsed(f"the simulated vendors are gone: sandbox {child.how_it_ended()}. {child.last_words()}")
            if child.again_at is None:
                self.say(child.bury())
            elif time.monotonic() >= child.again_at:
                self.start(child)

    def wait(self) -> None:
        """Tend the processes until told to stop. Raises Collapsed."""
        while not self.stopping:
            self.tend()
            time.sleep(TICK_SECONDS)

    def stop(self) -> None:
        """SIGTERM to all at once, SIGKILL to those that have not ended in time."""
        self.stopping = True
        for child in self.children:
            child.terminate()
        deadline = time.monotonic() + self.patience
        for child in self.children:
            child.see_off(deadline)
        for end in self._lifeline:
            os.close(end)


@contextmanager
def running(
    settings: Settings,
    port: int,
    *,
    sandbox: bool,
    say: Callable[[str], None],
    prepare: Callable[[Path], None] = lambda _: None,
) -> Iterator[Formation]:
    """Everything, up and answering, for the length of a `with` block; `stopping` if it was told to stop meanwhile.

    `prepare` gets the data folder once it is surely ours. `say` is told what happens to processes. Raises
    SettingsError for what is missing, Misconfigured when something does not start.
    """
    with ExitStack() as stack:
        stack.enter_context(premises.sole(settings.revpipe_data_dir))
        port = premises.claim_port(port)
        vendors = far_side.simulated() if sandbox else None
        if vendors is None:
            keys = (f"{settings.llm_provider}_api_key",) if _asks(settings) else ()
            require(settings, *needed_settings(tuple(QUEUES)), *keys)
        prepare(settings.revpipe_data_dir)
        # It imports while the servers start.
        forks = stack.enter_context(fork_server({**os.environ, "REVPIPE_DATA_DIR": str(settings.revpipe_data_dir)}))
        settings, lease = stack.enter_context(embedded.filled(settings))
        url = f"http://127.0.0.1:{port}"
        settings = replace(settings, public_url=url if sandbox or not settings.public_url else settings.public_url)
        settings = replace(settings, secret_key=secret_key.here(settings))
        logs = settings.revpipe_data_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        engine = make_engine(str(settings.database_url), pool_size=1, prepared=settings.database_prepared)
        stack.callback(engine.dispose)
        migrate.upgrade(engine)
        if lease is not None:
            _free_duty(engine)
        formation = Formation(url, logs, settings, lease, vendors, say, forks)
        formation.children = [
            Child(name, words, logs / f"{name}.log") for name, words in _commands(port, vendors, llm=_asks(settings))
        ]
        stack.enter_context(_told_to_stop(formation))
        stack.callback(formation.stop)
        _start_all(formation, engine)
        yield formation


def _start_all(formation: Formation, engine: Engine) -> None:
    """Start the processes and wait until each has answered. Raises Misconfigured with the log of one that fails."""
    readiness = Readiness(engine, formation.url, formation.sandbox.url if formation.sandbox else None)
    for child in formation.children:
        rotate(child.log)
        formation.start(child)
    while not formation.stopping:
        waiting = readiness.missing(formation.children)
        if not waiting:
            return
        failed = [child for child in formation.children if not child.running] or waiting[:1] * readiness.late
        # One that gets a Ctrl-C of its own may end before we hear of ours.
        if failed and not formation.stopping:
            raise Misconfigured(f"{failed[0].name} {failed[0].how_it_ended()}. {failed[0].last_words()}")
        time.sleep(0.1)


def _asks(settings: Settings) -> bool:
    return settings.llm_provider != "none"


def _commands(
    port: int, vendors: far_side.FarSide | None, *, llm: bool = False
) -> Iterator[tuple[str, tuple[str, ...]]]:
    if vendors is not None:
        yield "sandbox", ("revpipe.lifeline", *vendors.command)
    yield "web", ("revpipe", "web", "--port", str(port), "--processes", "1")
    yield "worker-urgent", ("revpipe", "worker", "immediate", "high", "--", "-llm")
    # On one machine what is urgent and what comes in go before what can wait: to accept a webhook is to keep it.
    bulk = ("all", "--", "-immediate", "-high", "-llm" if llm else "llm", *("-" + queue for queue in COMPUTED))
    yield "worker-bulk", ("revpipe", "worker", "--nice", NICE, *bulk)
    yield "worker-decide", ("revpipe", "worker", "--nice", NICE, *COMPUTED)
    # Where no model is configured there is hardly anything in those queues, and the bulk worker sees to it.
    if llm:
        yield "worker-llm", ("revpipe", "worker", "llm")
    yield "keeper", ("revpipe", "keeper")
    yield "beat", ("revpipe", "beat")


def _free_duty(engine: Engine) -> None:
    """End the duty of a keeper that was killed, so that ours need not wait for it; two at once are harmless."""
    with transaction(engine) as tx:
        duty = leases.state(tx, DUTY)
        if duty is not None:
            leases.release(tx, DUTY, duty["holder"], server_time(tx))


def _environment(settings: Settings, vendors: far_side.FarSide | None, read: int) -> Mapping[str, str]:
    environment = dict(os.environ)
    # What a caller took out of its settings must not come back to a child by the environment.
    environment.pop("BROKER_URL", None)
    if settings.broker_url:
        environment["BROKER_URL"] = settings.broker_url
    environment |= {
        "DATABASE_URL": str(settings.database_url),
        "REDIS_URL": str(settings.redis_url),
        "REVPIPE_DATA_DIR": str(settings.revpipe_data_dir),
        "PUBLIC_URL": str(settings.public_url),
        "SECRET_KEY": str(settings.secret_key),
        lifeline.VARIABLE: str(read),
    }
    if vendors is not None:
        environment |= vendors.environment
    return environment


@contextmanager
def _told_to_stop(formation: Formation) -> Iterator[None]:
    """One SIGTERM or SIGINT sets `stopping`; afterwards signals mean what they meant before."""

    def stop(*_: object) -> None:
        formation.stopping = True

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
