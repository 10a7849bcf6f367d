"""The trail: every row in its month, and none ever changed."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from revpipe import migrate, trail
from revpipe.db import transaction
from revpipe.services import Services
from tests.integration.ledger_fixtures import one, put, rows

FAR = datetime(2199, 1, 1, tzinfo=UTC)


def write(services: Services, at: datetime, what: str) -> None:
    with transaction(services.engine) as tx:
        trail.record(tx, at, [trail.Entry(what, uuid.uuid4(), detail={"n": 1})])


def children(services: Services, parent: str = "trail") -> list[str]:
    found = rows(
        services,
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = CAST(:parent AS regclass)",
        parent=parent,
    )
    return sorted(row["name"] for row in found)


def test_a_row_lands_in_the_partition_of_its_month_in_utc(services: Services) -> None:
    with transaction(services.engine) as tx:
        migrate.ensure_partitions(tx, datetime(2031, 6, 1, tzinfo=UTC))
    start = datetime(2031, 6, 1, tzinfo=UTC)
    write(services, start - timedelta(microseconds=1), "last of May")
    write(services, start, "first of June")
    write(services, datetime.fromisoformat("2031-06-01T01:00:00+02:00"), "still May in UTC")
    write(services, FAR, "far away")
    found = rows(services, "SELECT tableoid::regclass::text AS place, what FROM trail")
    assert {row["what"]: row["place"] for row in found} == {
        "last of May": "trail_2031_05",
        "first of June": "trail_2031_06",
        "still May in UTC": "trail_2031_05",
        "far away": "trail_default",
    }


def test_a_delivery_lands_in_the_partition_of_its_month(services: Services) -> None:
    with transaction(services.engine) as tx:
        # Not there any more if what was old, seen from months ahead, was pruned here before.
        migrate.ensure_partitions(tx, services.clock.now())
    put(services)
    month = services.clock.now().strftime("deliveries_%Y_%m")
    assert one(services, "SELECT tableoid::regclass::text AS place FROM deliveries") == {"place": month}


def test_no_row_can_be_changed_through_any_table(services: Services) -> None:
    with transaction(services.engine) as tx:
        migrate.ensure_partitions(tx, datetime(2031, 6, 1, tzinfo=UTC))
    months = [name for name in children(services) if name != "trail_default"]
    for name in months:
        year, month = name.removeprefix("trail_").split("_")
        write(services, datetime(int(year), int(month), 15, tzinfo=UTC), name)
    write(services, FAR, "trail_default")
    refused = 0
    for name in ["trail", "trail_default", *months]:
        for statement in (f"UPDATE {name} SET what = 'x'", f"DELETE FROM {name}", f"TRUNCATE {name}"):
            with pytest.raises(ProgrammingError, match="append-only"), transaction(services.engine) as tx:
                tx.execute(text(statement))
            refused += 1
    assert refused == 3 * (len(months) + 2)
    kept = rows(services, "SELECT what FROM trail")
    assert sorted(row["what"] for row in kept) == sorted([*months, "trail_default"])


def test_a_whole_month_can_be_dropped(services: Services) -> None:
    with transaction(services.engine) as tx:
        migrate.ensure_partitions(tx, datetime(2031, 6, 1, tzinfo=UTC))
    write(services, datetime(2031, 5, 2, tzinfo=UTC), "old")
    with transaction(services.engine) as tx:
        tx.execute(text("DROP TABLE trail_2031_05"))
    assert rows(services, "SELECT what FROM trail") == []


def test_a_month_that_began_in_the_default_partition_is_no_reason_to_stop(services: Services) -> None:
    write(services, datetime(2041, 6, 3, tzinfo=UTC), "early")
    for _ in range(2):
        with transaction(services.engine) as tx:
            migrate.ensure_partitions(tx, datetime(2041, 6, 1, tzinfo=UTC))
    write(services, datetime(2041, 6, 4, tzinfo=UTC), "late")
    write(services, datetime(2041, 7, 4, tzinfo=UTC), "next")
    found = rows(services, "SELECT tableoid::regclass::text AS place FROM trail ORDER BY at")
    assert [row["place"] for row in found] == ["trail_default", "trail_default", "trail_2041_07"]


def test_entries_keep_their_order_within_one_moment(services: Services) -> None:
    at = services.clock.now()
    words = [f"step {number}" for number in range(50)]
    with transaction(services.engine) as tx:
        trail.record(tx, at, [trail.Entry(word) for word in words])
    assert [row["what"] for row in rows(services, "SELECT what FROM trail ORDER BY at, trail_id")] == words
