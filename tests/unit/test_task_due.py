"""When a task of ours falls due: the end of a working day, never already past."""

from datetime import UTC, datetime

import pytest

from adapters.hubspot.tasks import due_at

MONDAY, FRIDAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC), datetime(2026, 11, 27, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("created_at", "days", "due"),
    [
        (MONDAY, 0, "2026-11-23T17:00:00+00:00"),
        (MONDAY, 1, "2026-11-24T17:00:00+00:00"),
        (MONDAY.replace(hour=18), 0, "2026-11-24T17:00:00+00:00"),
        (MONDAY.replace(hour=17), 0, "2026-11-24T17:00:00+00:00"),
        (FRIDAY, 1, "2026-11-30T17:00:00+00:00"),
        (FRIDAY, 2, "2026-11-30T17:00:00+00:00"),
        (FRIDAY.replace(hour=20), 0, "2026-11-30T17:00:00+00:00"),
    ],
)
def test_table(created_at, days, due):
    assert due_at(created_at, days).isoformat() == due
