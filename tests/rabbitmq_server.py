"""RabbitMQ for the tests: Debian's rabbitmq-server as a child of the test run, on free ports, in a folder of its own.

It needs no root and touches nothing of the system's own server: node name, ports, data, logs, configuration, cookie
and the name service (epmd, which Erlang would otherwise leave behind) are all of this one server, and stop() ends
both processes by their ids. Where the package is not installed the tests are skipped with that reason.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

SWITCH: Final = "REVPIPE_TEST_BROKER"
"""The environment variable that moves the tests to RabbitMQ when it says `rabbitmq`."""
PROGRAM: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
MISSING: Final = "RabbitMQ is not installed; on Debian: apt-get install rabbitmq-server"
RUNNING: Final = "/"
"""The virtual host of the system that stays up while the end-to-end tests of a process run."""
APART: Final = "apart"
"""That of a system beside it, one after the other."""
LEDGER: Final = "ledger"
"""That of the integration tests: the workers of a running system must not take their messages."""
PATIENCE: Final = 120.0


def wanted() -> bool:
    """Whether this run of the tests is to use RabbitMQ wherever it can."""
    word = os.environ.get(SWITCH, "redis")
    if word not in ("redis", "rabbitmq"):
        raise ValueError(f"{SWITCH} must be redis or rabbitmq")
    return word == "rabbitmq"


def installed() -> bool:
    """Whether the server and Erlang's name service are there."""
    return PROGRAM.exists() and shutil.which("epmd") is not None


_shared: list["RabbitServer"] = []
_users = 0


@contextmanager
def shared() -> Iterator["RabbitServer"]:
    """The one server of this process of the tests, which ends with the last that uses it."""
    global _users  # noqa: PLW0603
    if not installed():
        pytest.skip(MISSING)
    if not _shared:
        _shared.append(_started())
    _users += 1
    try:
        yield _shared[0]
    finally:
        _users -= 1
        if not _users:
            _shared.pop().close()


@contextmanager
def alone() -> Iterator["RabbitServer"]:
    """A server that nobody else uses, to be killed and emptied."""
    if not installed():
        pytest.skip(MISSING)
    server = _started()
    try:
        yield server
    finally:
        server.close()


def settings(virtual_host: str = RUNNING) -> dict[str, str]:
    """What a process needs in its environment to use the broker of this run: nothing where that is Redis."""
    return {"BROKER_URL": _shared[0].url_of(virtual_host)} if _shared and wanted() else {}


def the_shared() -> "RabbitServer":
    """The server that somebody has from `shared` at this moment."""
    return _shared[0]


class RabbitServer:
    """One server; `url` stays the same over restarts."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rv-rabbit-"))
        self.port, self._dist_port, self._epmd_port = _free_ports(3)
        self._node = f"revpipe{self.port}@localhost"
        self._server: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._write_configuration()

    @property
    def url(self) -> str:
        """As BROKER_URL takes it."""
        return self.url_of(RUNNING)

    def url_of(self, virtual_host: str) -> str:
        """The same for any of the virtual hosts: nothing is shared between them."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{virtual_host}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._epmd = self._epmd or self._child("epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port))
        self._server = self._child(str(PROGRAM))
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"RabbitMQ did not start:\n{self._log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether it greets a client as AMQP servers do."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(client.recv(1))
        except OSError:
            return False

    def stop(self) -> None:
        """End it, gently, so that nothing is lost."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._end(signal.SIGKILL)

    def forget(self) -> None:
        """Delete all that the stopped server held: the queues themselves, too."""
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it accept connections and answer nothing, for the length of a `with` block."""
        machine = self._machine()
        machine.suspend()
        try:
            yield
        finally:
            machine.resume()

    def close(self) -> None:
        """End it and remove its folder."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def held(self, virtual_host: str, queue: str) -> int:
        """How many messages a queue has, those in workers' hands included, which AMQP tells nobody.

        Asked as Erlang nodes ask each other: rabbitmqctl does so, too, but takes seconds to start.
        """
        where = f'rabbit_misc:r(<<"{virtual_host}">>, queue, <<"{queue}">>)'
        question = (
            f"{{ok, Q}} = rabbit_amqqueue:lookup({where}), "
            "{ok, {_, Total}, _} = ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1), Total."
        )
        cookie = (self.folder / "home" / ".erlang.cookie").read_text().strip()
        asked = subprocess.run(
            ["erl_call", "-c", cookie, "-sname", self._node, "-e"],
            env={**os.environ, **self._names},
            input=f"{question}\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        found = re.fullmatch(r"\{ok, (\d+)\}\s*", asked.stdout)
        if found is None:
            raise RuntimeError(f"RabbitMQ did not tell what {queue} holds: {asked.stdout} {asked.stderr}")
        return int(found[1])

    @property
    def _names(self) -> dict[str, str]:
        """Where Erlang's processes find each other."""
        return {
            "HOME": str(self.folder / "home"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    @property
    def _log(self) -> Path:
        return self.folder / "rabbitmq.log"

    def _machine(self) -> psutil.Process:
        """Erlang's process: what was started is a shell script that waits for it."""
        assert self._server is not None
        family = psutil.Process(self._server.pid).children(recursive=True)
        return next(one for one in family if one.name() == "beam.smp")

    def _end(self, how: signal.Signals) -> None:
        if self._server is None or self._server.poll() is not None:
            return
        family = psutil.Process(self._server.pid).children(recursive=True)
        machine = self._machine()
        machine.send_signal(how)
        machine.wait(PATIENCE)
        self._server.wait(PATIENCE)
        for one in family:
            if one.is_running():
                one.kill()
        psutil.wait_procs(family, PATIENCE)

    def _write_configuration(self) -> None:
        for name in ("data", "log", "home"):
            (self.folder / name).mkdir()
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "definitions.json").write_text(json.dumps(_definitions()))
        (self.folder / "rabbit.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"load_definitions = {self.folder / 'definitions.json'}\n"
            "log.console.level = warning\n"
            # What the machine has is nothing to a test, which must not stop at an alarm over it.
            "disk_free_limit.absolute = 10MB\n"
            "total_memory_available_override_value = 2GB\n"
        )

    def _child(self, *command: str) -> subprocess.Popen[bytes]:
        mine = {
            "PATH": os.environ["PATH"],
            **self._names,
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbit.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            # One thread, which sleeps while it has nothing to do: the processors are for the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none "
            "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        with self._log.open("ab") as output:
            return subprocess.Popen(
                command, env=mine, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )


def _definitions() -> dict[str, object]:
    """The virtual hosts and the one user, in the form of RabbitMQ's definition files."""
    hosts = (RUNNING, APART, LEDGER)
    salt = b"salt"
    secret = base64.b64encode(salt + hashlib.sha256(salt + b"guest").digest()).decode()
    everything = {"configure": ".*", "write": ".*", "read": ".*"}
    return {
        "users": [
            {
                "name": "guest",
                "password_hash": secret,
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "administrator",
            }
        ],
        "vhosts": [{"name": name} for name in hosts],
        "permissions": [{"user": "guest", "vhost": name, **everything} for name in hosts],
    }


def _started() -> RabbitServer:
    server = RabbitServer()
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, each another one."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports
