"""The long-running processes but for web: worker, keeper, beat, flower."""

import os
import runpy
import signal
import sys
from threading import Event
from typing import Final

import click

from config import settings as environment
from config.queues import needed_settings, select, threads_of
from config.settings import Settings
from revpipe import interpreter, lifeline, observability
from revpipe import keeper as keeping
from revpipe.bootstrap import for_keeper
from revpipe.commands.context import connected

THREADS: Final = "Messages at a time; as many as the queue table gives this kind of work, if left out."


@click.command()
@click.argument("queues", nargs=-1)
@click.option("--concurrency", "-c", type=click.IntRange(1), envvar="WORKER_CONCURRENCY", help=THREADS)
@click.option("--nice", type=click.IntRange(0, 19), default=0, show_default=True, help="Give way to others, 19 most.")
def worker(queues: tuple[str, ...], concurrency: int | None, nice: int) -> None:
    """Work QUEUES, all of them if none is named.

    A word is a process type of the queue table (enrich, decide, execute, act), a queue (enrich.high), a prefix
    (execute.slack) or a priority (immediate). A word with a minus in front takes queues away: -- all -immediate

    With --nice, what can wait lets urgent work on the same machine go first.
    """
    try:
        chosen = select(queues or ("all",))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    environment.require(environment.load(), *needed_settings(chosen))
    with connected() as settings:
        os.nice(nice)
        _run("tasks.worker", settings, str(concurrency or threads_of(chosen)), str(nice), *chosen)


@click.command()
def keeper() -> None:
    """Feed the queues from the ledger, sweep what was lost, expire approvals."""
    with connected() as settings:
        observability.configure(settings, "keeper")
        lifeline.watch()
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        keeper = keeping.Keeper(for_keeper(settings))
        interpreter.settle()
        keeper.run(stop.is_set)


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
