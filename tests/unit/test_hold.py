"""The last question before a call: is the work still ours by this process's own clock?"""

import time
from datetime import timedelta

import pytest

from revpipe import hold
from revpipe.hold import Hold, LeaseOver

LEASE = timedelta(seconds=30)


def test_a_fresh_lease_lets_calls_pass() -> None:
    with hold.holding(Hold(LEASE, time.monotonic())):
        hold.check()


@pytest.mark.parametrize(("age", "over"), [(25.0, False), (26.5, True), (31.0, True)])
def test_calls_end_a_little_before_the_lease_does(age: float, over: bool) -> None:
    held = Hold(LEASE, time.monotonic() - age)
    if over:
        with pytest.raises(LeaseOver) as caught:
            held.check()
        assert not caught.value.ambiguous
    else:
        held.check()


def test_a_short_lease_keeps_most_of_its_time_for_calls() -> None:
    Hold(timedelta(seconds=4), time.monotonic() - 2.5).check()
    with pytest.raises(LeaseOver):
        Hold(timedelta(seconds=4), time.monotonic() - 3.5).check()


def test_a_renewal_in_time_prolongs_and_one_that_comes_too_late_does_not() -> None:
    now = time.monotonic()
    in_time, late = Hold(LEASE, now - 28), Hold(LEASE, now - 31)
    for one in (in_time, late):
        one.prolong(now)
    in_time.check()
    with pytest.raises(LeaseOver):
        late.check()
    late.begin(now)
    late.check()


def test_outside_of_work_nothing_is_asked() -> None:
    with hold.holding(Hold(LEASE, time.monotonic() - 60)), pytest.raises(LeaseOver):
        hold.check()
    hold.check()
