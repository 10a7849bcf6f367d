"""A short rehearsal with real processes under real attacks; `make chaos` runs the long ones."""

import pytest

from tests.e2e.chaos.rehearsal import check


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled() -> None:
    check(seed=1)
