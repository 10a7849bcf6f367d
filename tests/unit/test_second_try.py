"""Which failed tests the check on a new machine tries once more."""

import pytest

from tests.second_try import allowed

SLOW = "tests/e2e/test_outage.py::test_an_outage"


@pytest.mark.parametrize(
    ("failed", "again"),
    [
        ([SLOW], True),
        ([SLOW, "tests/integration/browser/test_inbox.py::test_by_mouse"], True),
        ([], False),
        ([SLOW, "tests/e2e/test_up.py::test_a", "tests/e2e/test_up.py::test_b"], False),
        ([SLOW, "tests/unit/test_retry.py::test_a"], False),
        (["tests/integration/test_act.py::test_a"], False),
        (["tests/e2e/chaos/test_first_seed.py::test_nothing_is_lost_or_doubled"], False),
        (["tests/e2e/test_at_once.py::test_two_signals"], False),
    ],
)
def test_one_or_two_of_whole_systems_may_unless_they_count_effects(failed: list[str], again: bool) -> None:
    assert allowed(failed) is again
