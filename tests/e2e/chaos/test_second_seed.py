"""Another short rehearsal, with another order of attacks."""

import pytest

from tests.e2e.chaos.rehearsal import check


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled() -> None:
    check(seed=2)
