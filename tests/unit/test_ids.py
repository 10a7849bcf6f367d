"""Ids that sort by time."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from revpipe.ids import uuid7


def test_they_are_uuids_of_version_seven() -> None:
    made = [uuid7() for _ in range(100)]
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}


def test_they_rise_strictly_however_fast_they_are_made() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_they_tell_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    told = uuid7().int >> 80
    after = time.time_ns() // 1_000_000
    # Ids made faster than the clock ticks run ahead of it, by less than a second in any test.
    assert before <= told <= after + 1000


def test_threads_never_make_the_same_one_and_each_sees_its_own_rise() -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: [uuid7() for _ in range(2000)], range(8)))
    assert all(run == sorted(run) for run in runs)
    assert len({one for run in runs for one in run}) == 16_000


def test_the_random_bits_differ() -> None:
    assert len({uuid7().int & (2**62 - 1) for _ in range(1000)}) == 1000
