"""How many connections one process of each kind holds at the most, to the database and to Redis.

The pools themselves are made in revpipe/bootstrap.py and tasks/; tests/architecture/test_connections.py compares.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Held:
    """What one line of the Procfile holds, as it is shipped: two web processes, four threads of a worker."""

    database: int
    redis: int


HELD: Final = {"web": Held(8, 4), "worker": Held(6, 10), "keeper": Held(2, 2), "beat": Held(0, 1)}
EACH_WEB_PROCESS: Final = Held(4, 2)
WORKER_THREADS: Final = 4
