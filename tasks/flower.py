"""The Flower process. Tasks carry ids only, so it has no customer data to show."""

import sys

from config.settings import load
from revpipe import lifeline, observability
from tasks.app import make_app

PUBLISHERS = 10
"""Flower asks the workers eight questions at once, each on a connection of its own."""


def main(address: str, port: str) -> None:
    """Show the workers at `address:port` until told to stop; nothing can be changed from there."""
    settings = load()
    observability.configure(settings, "flower")
    lifeline.watch()
    app = make_app(settings, publishers=PUBLISHERS)
    # Flower tells brokers apart by the scheme of a URL that Celery writes with the transport's name in it, so here
    # Celery's own transport serves RabbitMQ.
    app.conf.broker_transport = None
    app.start(["flower", f"--address={address}", f"--port={port}", "--read-only=True", "--max_tasks=5000"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
