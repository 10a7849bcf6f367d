"""The long-running processes: web, worker, keeper, beat, flower."""

import os
import runpy
import signal
import sys
from threading import Event

import click

from config import settings as environment
from config.queues import needed_settings, select
from config.settings import Settings
from revpipe import keeper as keeping
from revpipe import lifeline, observability, wsgi
from revpipe.bootstrap import for_keeper
from revpipe.commands.context import connected


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 where a router stands in front.")
@click.option("--port", default=8000, show_default=True, envvar="PORT")
@click.option("--processes", default=2, show_default=True, envvar="WEB_CONCURRENCY")
def web(host: str, port: int, processes: int) -> None:
    """Receive webhooks and answer the API."""
    with connected() as settings:
        observability.configure(settings, "web")
        wsgi.serve(settings, host, port, processes)


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--concurrency", "-c", default=4, show_default=True, envvar="WORKER_CONCURRENCY")
def worker(queues: tuple[str, ...], concurrency: int) -> None:
    """Work QUEUES, all of them if none is named.

    A word is a process type of the queue table (enrich, decide, execute, act), a queue (enrich.high), a prefix
    (execute.slack) or a priority (immediate). A word with a minus in front takes queues away: -- all -immediate
    """
    try:
        chosen = select(queues or ("all",))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    environment.require(environment.load(), *needed_settings(chosen))
    with connected() as settings:
        _run("tasks.worker", settings, str(concurrency), *chosen)


@click.command()
def keeper() -> None:
    """Feed the queues from the ledger, sweep what was lost, expire approvals."""
    with connected() as settings:
        observability.configure(settings, "keeper")
        lifeline.watch()
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        keeping.Keeper(for_keeper(settings)).run(stop.is_set)


@click.command()
def beat() -> None:
    """Send the periodic tasks of config/schedule.py."""
    with connected() as settings:
        _run("tasks.beat", settings)


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True)
@click.option("--port", default=5555, show_default=True, envvar="PORT")
def flower(address: str, port: int) -> None:
    """Show the workers' insides. Set FLOWER_BASIC_AUTH=user:password wherever others can reach it."""
    with connected() as settings:
        _run("tasks.flower", settings, address, str(port))


def _run(module: str, settings: Settings, *arguments: str) -> None:
    """Run a module of tasks/ in this process, by name: the core imports nothing from there."""
    os.environ["DATABASE_URL"] = str(settings.database_url)
    os.environ["REDIS_URL"] = str(settings.redis_url)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")
