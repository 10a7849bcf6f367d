"""The generator: what it makes looks like what the product leaves, adds up, and never mingles with real signals."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import inspect

from revpipe import balance, queries, schemas
from revpipe.cli import cli
from revpipe.commands.generate import STRANGERS
from revpipe.contexts import load
from revpipe.db import make_engine, transaction
from revpipe.generating import fill, mix
from revpipe.models.signal import DISPOSITIONS
from revpipe.services import Services
from revpipe.story import view
from tests.integration.ledger_fixtures import call, one, put, rows

COUNT = 2_000


def made(services: Services, count: int = COUNT) -> None:
    fill.fill(services.engine, fill.Wish(count, services.clock.now(), batch=400))


def generate(services: Services, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setenv("DATABASE_URL", str(services.settings.database_url))
    monkeypatch.setenv("REDIS_URL", str(services.settings.redis_url))
    return CliRunner().invoke(cli, ["generate", "--signals", "1000", *words])


def test_what_is_made_adds_up_and_has_the_shares_that_were_asked_for(services: Services) -> None:
    made(services)
    made(services, 400)
    now = services.clock.now()
    found = balance.compute(services.engine, now, now - timedelta(hours=1))
    assert (found.holds, found.accepted, found.open) == (True, COUNT + 400, 24)
    assert set(found.dispositions) == set(DISPOSITIONS) - {"coalesced"}
    assert all(found.classes[name] for name in ("on_its_way", "parked", "person"))
    counted = rows(services, "SELECT disposition, count(*) AS n FROM signals WHERE state = 'done' GROUP BY 1")
    assert {row["disposition"]: row["n"] for row in counted} == found.dispositions
    noise = one(services, "SELECT count(*) AS n FROM signals WHERE reason = 'rule:ordinary-property'")["n"]
    assert noise == pytest.approx((COUNT + 400) * mix.SHARES["noise"] / 1000, rel=0.02)
    days = one(services, "SELECT max(received_at) - min(received_at) AS days FROM signals")["days"]
    assert timedelta(days=29) < days <= timedelta(days=30)


def test_the_trail_tells_how_each_came_to_its_end(services: Services) -> None:
    made(services)
    odd = rows(services, "SELECT signal_id FROM signals EXCEPT SELECT signal_id FROM trail WHERE what = 'received'")
    odd += rows(
        services,
        "SELECT p.action_id FROM approvals p JOIN actions a USING (action_id)"
        " WHERE (p.state = 'open') <> (a.state = 'awaiting_approval')",
    )
    odd += rows(services, "SELECT signal_id FROM plans EXCEPT SELECT signal_id FROM trail WHERE what = 'decided'")
    odd += rows(services, "SELECT action_id FROM actions EXCEPT SELECT action_id FROM trail WHERE what <> 'done'")
    odd += rows(services, "SELECT delivery_id FROM signals EXCEPT SELECT delivery_id FROM deliveries")
    assert odd == []
    latest = one(
        services, "SELECT greatest((SELECT max(at) FROM trail), (SELECT max(decided_at) FROM approvals)) AS at"
    )
    assert latest["at"] <= services.clock.now()
    assert rows(services, "SELECT 1 FROM trail_default UNION ALL SELECT 1 FROM deliveries_default") == []


def test_the_product_reads_every_kind_of_it(services: Services) -> None:
    made(services)
    kinds = rows(
        services,
        "SELECT DISTINCT ON (s.state, s.disposition, s.reason, array_length(a.types, 1)) s.* FROM signals s LEFT JOIN"
        " (SELECT signal_id, array_agg(type) AS types FROM actions GROUP BY 1) AS a USING (signal_id)",
    )
    assert len(kinds) >= len(mix.SHARES)
    for row in kinds:
        signal = schemas.stored_signal(row)
        with transaction(services.engine) as tx:
            story = queries.story(tx, signal.signal_id)
        assert "\n".join(view.lines(story))
        if story["context"]:
            assert load(story["context"]["parts"], story["context"]["schema_version"])["deal"].provider == "hubspot"


def test_it_is_refused_where_real_signals_are(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    first = generate(services, monkeypatch, "--json")
    assert first.exit_code == 0, first.output
    assert json.loads(first.output)["count"] == 1000
    assert generate(services, monkeypatch).exit_code == 0
    put(services, call("real"))
    refused = generate(services, monkeypatch)
    assert refused.exit_code == 1
    assert STRANGERS in refused.output
    assert one(services, "SELECT count(*) AS n FROM signals")["n"] == 2001
    assert generate(services, monkeypatch, "--yes", "--open", "0").exit_code == 0
    assert one(services, "SELECT count(*) AS n FROM signals")["n"] == 3001
    audited = rows(services, "SELECT detail FROM operator_audit WHERE command = 'generate'")
    assert [row["detail"]["outcome"] for row in audited] == [{"signals": 1000}] * 3


def test_the_months_that_it_needs_are_made(database_url: str) -> None:
    engine = make_engine(database_url)
    now = datetime.now(UTC)
    fill.fill(engine, fill.Wish(400, now, open=0, days=200))
    names = set(inspect(engine).get_table_names())
    with transaction(engine) as tx:
        lost = tx.exec_driver_sql("SELECT count(*) FROM trail_default").scalar()
    engine.dispose()
    assert lost == 0
    months = {f"{now - timedelta(days=days):%Y_%m}" for days in (1, 100, 199)}
    assert {f"{table}_{month}" for table in ("trail", "deliveries") for month in months} <= names
