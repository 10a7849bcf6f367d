"""Processes that share the work on a past: each takes the subjects that fall to it, so order within one is kept."""

import gc
import multiprocessing
import os
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from revpipe.errors import RevpipeError
from revpipe.simulating.past import Share

T = TypeVar("T")
MOST: Final = 8
WORTH: Final = 3_000
"""Signals below which one process is as quick as several."""


def processes(signals: int) -> int:
    """How many processes to use for so many signals: as many as there are processors for us, at most eight."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if signals < WORTH else min(usable, MOST)


def spread(work: Callable[[Share], T], jobs: int) -> list[T]:
    """What `work` returns for each of `jobs` shares, in their order. Raises what the work raised.

    The processes are forks: they find compiled rules as they are, which could not be sent to them.
    """
    if jobs == 1:
        return [work(Share())]
    fork = multiprocessing.get_context("fork")
    pipes, running = [], []
    try:
        for number in range(jobs):
            ours, theirs = fork.Pipe(duplex=False)
            process = fork.Process(target=_one, args=(work, Share(number, jobs), theirs), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            running.append(process)
        return [_answer(pipe) for pipe in pipes]
    finally:
        for process in running:
            process.terminate()
            process.join()


def _one(work: Callable[[Share], Any], share: Share, pipe: "Connection[Any, Any]") -> None:
    # What a batch leaves behind holds no cycles worth looking for; the search took a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    try:
        pipe.send(("done", work(share)))
    except RevpipeError as error:
        pipe.send(("refused", str(error)))
    except Exception:  # noqa: BLE001 - told to the process that waits for it
        pipe.send(("broke", traceback.format_exc()))


def _answer(pipe: "Connection[Any, Any]") -> Any:
    try:
        outcome, value = pipe.recv()
    except EOFError as error:
        raise RevpipeError("a process of the simulation was killed; is there enough memory? Try --jobs 1") from error
    if outcome == "done":
        return value
    raise RevpipeError(value) if outcome == "refused" else RuntimeError(value)
