"""Which processes a running `revpipe up` consists of, by the names it gives them."""

from contextlib import suppress

import psutil

FORK_SERVER = "revpipe.local.fork_server"


def members(pid: int) -> dict[str, psutil.Process]:
    """The processes that `up`, of this pid, started or had forked: web, worker-urgent, ... and sandbox."""
    own = psutil.Process(pid).children()
    found = {}
    for one in own:
        words = _words(one)
        if FORK_SERVER in words:
            with suppress(psutil.NoSuchProcess):
                found |= {forked.name(): forked for forked in one.children() if _words(forked)}
        elif "adapters.sandbox" in words:
            found["sandbox"] = one
    return found


def workers(pid: int) -> list[psutil.Process]:
    """Its workers."""
    return [one for name, one in members(pid).items() if name.startswith("worker-")]


def _words(one: psutil.Process) -> list[str]:
    try:
        return one.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
