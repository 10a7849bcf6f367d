"""The smallest run of the benchmark, so that it does not rot: the product as processes, a few signals, each counted."""

import itertools
from contextlib import ExitStack

import psutil
import pytest

from tests.benchmarks import ground, load, product, rounds, vendor
from tests.benchmarks.processes import BenchError
from tests.benchmarks.webhooks import Traffic


def test_a_round_counts_every_effect_and_notices_one_that_is_missing() -> None:
    with ExitStack() as stack:
        base = stack.enter_context(ground.prepared())
        with pytest.raises(BenchError, match="synchronous_commit is off"):
            ground.refuse_unless_durable(f"{base.postgres}&options=-c%20synchronous_commit%3Doff")
        side = stack.enter_context(vendor.running(base.folder / "vendor"))
        sender = stack.enter_context(load.running())
        ours = stack.enter_context(product.running(base, side, without=("beat", "worker-urgent")))
        arena = rounds.Arena(base, side, sender, itertools.count(1), [ours.processes])
        done = arena.run(ours, arena.traffic(10, per_request=5, act_every=5), ours.webhooks)
        assert (done.system, done.signals, ours.held_up()) == ("revpipe", 10, [])
        assert done.reads > 0
        assert done.per_s > 0
        with pytest.raises(BenchError, match="effects for 2 deals instead of 10"):
            arena.check_effects(Traffic(10, first=1_000_000))
        pids = [one.pid for members in ours.processes.members().values() for one in members]
    assert len(pids) >= 5
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not base.folder.exists()
