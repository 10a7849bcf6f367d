"""Where a worker's processor time goes: `python -m tests.benchmarks.flame`.

Writes `docs/benchmarks/flame.md`, the time of the two workers of bulk work under `batch mixed` by kind of work, and a
flame graph of each. Counted are samples that hold Python's lock, so waiting is not. py-spy (of the development
requirements) must be allowed to look into other processes: as root, or with ptrace_scope 0.
"""

import itertools
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.benchmarks import ground, load, product, rounds, vendor, workloads
from tests.benchmarks.processes import BenchError

DOCS: Final = Path(__file__).parents[2] / "docs" / "benchmarks"
SECONDS: Final = 15
RATE: Final = 250
SIGNALS: Final = 4_000
SHAPE, ENDING = "batch", "mixed"
WORKERS: Final = ("worker-bulk", "worker-decide")
KINDS: Final[Mapping[str, str]] = {
    "rules: facts, conditions, explanations, texts": r"\(revpipe/rules/",
    "reading and writing at the CRM: HTTP, rates, answers": r"\((adapters/|requests/|urllib3/|revpipe/gate)",
    "the ledger: statements and their values": r"\((sqlalchemy/|psycopg/|revpipe/(db|bulk|work|trail|contexts))",
    "taking, acknowledging and publishing messages": r"\((kombu/|redis/|vine/|tasks/(raw|consumer|dispatch|brokers))",
    "Celery round each task": r"\((celery/|tasks/)",
    "the stages themselves": r"\(revpipe/",
}
"""Kind of work → frames that are of it. A sample counts for the innermost frame that is of any."""


def main() -> int:
    """Measure and write; 1 if something kept it from being measured."""
    try:
        samples = measure()
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    page = told(by_kind(samples))
    (DOCS / "flame.md").write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    return 0


def measure() -> list[str]:
    """The samples of one recording of each worker as py-spy writes them raw; a second one becomes the picture."""
    DOCS.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        base = stack.enter_context(ground.prepared())
        side = stack.enter_context(vendor.running(base.folder / "vendor"))
        sender = stack.enter_context(load.running())
        ours = stack.enter_context(product.running(base, side))
        arena = rounds.Arena(base, side, sender, itertools.count(1), [ours.processes])
        stack.enter_context(Busy(arena, ours))
        samples: list[str] = []
        for name in WORKERS:
            worker, raw = ours.processes.members()[name][0].pid, base.folder / f"{name}.txt"
            _record(worker, "raw", raw)
            _record(worker, "flamegraph", DOCS / f"flame-{name}.svg")
            samples += raw.read_text(encoding="utf-8").splitlines()
        return samples


def by_kind(samples: Iterable[str]) -> list[tuple[str, float]]:
    """Kind of work → its share of the samples, the largest first."""
    counts: Counter[str] = Counter()
    for sample in samples:
        stack, _, count = sample.rpartition(" ")
        counts[_kind(stack.split(";"))] += int(count)
    return [(kind, count / max(1, counts.total())) for kind, count in counts.most_common()]


def told(shares: Iterable[tuple[str, float]]) -> str:
    """The page."""
    lines = [
        "# Where a worker's time goes",
        "",
        f"Made by `python -m tests.benchmarks.flame`: {SECONDS} s of each bulk worker under `{SHAPE} {ENDING}`,",
        f"{RATE} looks a second, those counted in which it held Python's lock. The first three are the largest costs.",
        "",
        "| kind of work | share |",
        "| --- | ---: |",
        *(f"| {kind} | {share:.0%} |" for kind, share in shares),
        "",
        *(f"![flame graph of {name}](flame-{name}.svg)\n" for name in WORKERS),
        "",
    ]
    return "\n".join(lines)


def _kind(frames: list[str]) -> str:
    for frame in reversed(frames):
        for kind, pattern in KINDS.items():
            if re.search(pattern, frame):
                return kind
    return "other"


class Busy:
    """Sends rounds of signals for the length of a block."""

    def __init__(self, arena: rounds.Arena, ours: product.Product) -> None:
        self._arena, self._ours = arena, ours
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, name="load")

    def __enter__(self) -> None:
        wanted = workloads.wanted(SHAPE, ENDING)
        # The first round is not watched: connections are opened, statements prepared.
        self._arena.run(self._ours, self._arena.traffic(SIGNALS // 4, **wanted), self._ours.webhooks)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        wanted = workloads.wanted(SHAPE, ENDING)
        while not self._stop.is_set():
            self._arena.run(self._ours, self._arena.traffic(SIGNALS, **wanted), self._ours.webhooks)


def _record(pid: int, form: str, out: Path) -> None:
    words = ["py-spy", "record", "--pid", str(pid), "--duration", str(SECONDS), "--rate", str(RATE), "--gil"]
    # The picture's title is the command: by its name, in the folder of the picture, it tells nothing of this machine.
    done = subprocess.run(
        [*words, "--format", form, "--output", out.name],
        executable=Path(sys.executable).with_name("py-spy"),
        cwd=out.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not out.exists():
        raise BenchError(f"py-spy could not record the worker: {done.stderr.strip()[-300:]}")


if __name__ == "__main__":
    sys.exit(main())
