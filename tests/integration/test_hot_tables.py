"""The tables that change most: a claim and a renewal touch no index, so that they stay within their page."""

import pytest

from revpipe.services import Services
from tests.integration.ledger_fixtures import one, rows

CLAIMED = ("claim_id", "lease_until", "attempts", "worker", "tried_at", "maybe_done", "first_tried_at")
"""What claims and renewals write. An index on one of them would be written by each."""


@pytest.mark.parametrize("table", ["signals", "actions"])
def test_no_index_holds_what_a_claim_writes(services: Services, table: str) -> None:
    written = rows(
        services,
        "SELECT i.indexrelid::regclass::text AS index, a.attname AS name FROM pg_index i JOIN pg_attribute a"
        " ON a.attrelid = i.indrelid AND (a.attnum = ANY(i.indkey)"
        " OR position(a.attname IN coalesce(pg_get_expr(i.indpred, i.indrelid), '')) > 0)"
        " WHERE i.indrelid = CAST(:table AS regclass)",
        table=table,
    )
    assert {"queue", "due_at"} <= {row["name"] for row in written}
    assert [row for row in written if row["name"] in CLAIMED] == []


def test_the_hot_tables_leave_room_and_are_vacuumed_early(services: Services) -> None:
    for table in ("signals", "actions"):
        found = one(services, "SELECT reloptions AS o FROM pg_class WHERE oid = CAST(:t AS regclass)", t=table)["o"]
        options = dict(option.split("=") for option in found)
        assert int(options["fillfactor"]) <= 75
        assert float(options["autovacuum_vacuum_scale_factor"]) <= 0.02
