"""One workload of the product alone, for whoever tunes it: `python -m tests.benchmarks.one single act`.

Prints a line of JSON for each round: signals a second end to end, requests accepted a second, vendor reads, and where
the processor time went. `--latency-ms` lets the simulated vendors take their time, as real ones do.
"""

import argparse
import itertools
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import Final

import orjson

from tests.benchmarks import ground, load, product, rounds, vendor, workloads
from tests.benchmarks.processes import BenchError

_LEFT: Final = (
    "SELECT count(*), state, stage, queue, sent_at IS NOT NULL, lease_until, attempts, reason, min(due_at), now()"
    " FROM signals WHERE state <> 'done' GROUP BY 2, 3, 4, 5, 6, 7, 8"
)
"""What is left where a round does not come to its end."""


def main() -> int:
    """Run it; 1 if something kept it from being measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=sorted(workloads.SHAPES))
    parser.add_argument("ending", choices=sorted(workloads.ENDINGS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a round should take")
    parser.add_argument("--signals", type=int, help="signals in a round, instead of --seconds")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long each vendor call takes")
    parser.add_argument("--hold", action="store_true", help="stay up afterwards until Enter, to look around")
    options = parser.parse_args()
    try:
        with ExitStack() as stack:
            base = stack.enter_context(ground.prepared())
            side = stack.enter_context(vendor.running(base.folder / "vendor", options.latency_ms))
            sender = stack.enter_context(load.running())
            ours = stack.enter_context(product.running(base, side))
            arena = rounds.Arena(base, side, sender, itertools.count(1), [ours.processes])
            wanted = workloads.wanted(options.shape, options.ending)
            url = workloads.address(ours, options.shape)
            pids = {name: members[0].pid for name, members in ours.processes.members().items()}
            _say({"folder": str(base.folder), "database": base.postgres, "pids": pids})
            size = options.signals or rounds.size(arena, ours, options.seconds, wanted, url)
            for _ in range(options.rounds):
                try:
                    _say(asdict(arena.run(ours, arena.traffic(size, **wanted), url)))
                except BenchError:
                    _say({"open": [str(one) for one in ours.rows(_LEFT)]})
                    raise
            _say({"put_off": ours.held_up(), "memory_mb": ours.processes.memory()})
            if options.hold:
                sys.stdin.readline()
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say(told: object) -> None:
    sys.stdout.write(orjson.dumps(told).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
