"""`revpipe up --sandbox`: what it prints, what answers, and that nothing is left of it."""

import re
import signal
from pathlib import Path

import psutil
import pytest

from adapters.sandbox import wire
from adapters.sandbox.control_client import Control
from tests.e2e.processes import Process, left_over, process, until
from tests.members import members

CHILDREN = {"sandbox", "web", "worker-urgent", "worker-bulk", "worker-decide", "keeper", "beat"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_with_simulated_vendors_answers_and_stops_clean(folders: Path, number: signal.Signals) -> None:
    folder = folders / f"sandboxed-{number.name}"
    log = folders / f"{folder.name}.log"
    with process({}, log, "up", "--sandbox", "--port", "0", "--data-dir", str(folder)) as up:
        url, sandbox = _addresses(up)
        assert wire.send("GET", f"{url}/healthz").json() == {"status": "ok"}
        ready = wire.send("GET", f"{url}/readyz").json()
        assert [ready[name] for name in ("status", "database", "broker", "keeper")] == ["ok"] * 4
        front = wire.send("GET", f"{url}/")
        assert (front.status, front.headers["content-type"].split(";")[0]) == (200, "text/plain")
        assert Control(sandbox).effects() == []
        children = psutil.Process(up.popen.pid).children(recursive=True)
        assert members(up.popen.pid).keys() == CHILDREN
        up.popen.send_signal(number)
        assert up.ended() == 0
        assert [one for one in children if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
        assert until(lambda: not left_over(folder), "the end of the embedded servers", 30)


def _addresses(up: Process) -> tuple[str, str]:
    said = up.says("logs ")
    found = re.search(r"^ready (http://127\.0\.0\.1:\d+)\nsandbox (http://127\.0\.0\.1:\d+)\nlogs /", said, re.M)
    assert found, said
    return found[1], found[2]
