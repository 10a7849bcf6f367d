"""`python -m adapters.sandbox`: the simulated vendors as a process of their own."""

import argparse
import importlib
import signal
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime

from adapters.sandbox.control import plant
from adapters.sandbox.scenarios import demo
from adapters.sandbox.server import SandboxServer

SCENARIOS = {"demo": demo.story}


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m adapters.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--mail-port", type=int, help="a mail server as well, on this port")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="records to begin with")
    options = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with ExitStack() as held:
        server = held.enter_context(SandboxServer(options.port))
        if options.scenario:
            plant(server.world, SCENARIOS[options.scenario](datetime.now(UTC)).seed)
        if options.mail_port is not None:
            # Only here: it needs a package that nothing else of the sandbox does.
            mail = importlib.import_module("adapters.sandbox.mail")
            held.enter_context(mail.MailServer(server.world, options.mail_port))
        sys.stdout.write(f"sandbox {server.url}\n")
        sys.stdout.flush()
        done.wait()


if __name__ == "__main__":
    main()
