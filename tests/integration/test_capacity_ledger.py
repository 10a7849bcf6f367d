"""The bytes that the calculator is given are those of a ledger; and what scale.md says of a replica."""

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InternalError

from revpipe.cli import cli
from revpipe.db import make_engine, transaction
from revpipe.generating import fill
from revpipe.services import Services
from tests.benchmarks.costs import weigh_tables
from tests.integration.ledger_fixtures import one

COUNT = 4_000


def test_every_table_is_weighed_by_what_is_in_it(services: Services) -> None:
    fill.fill(services.engine, fill.Wish(COUNT, services.clock.now(), 0))
    with transaction(services.engine) as tx:
        found = weigh_tables(tx, COUNT)
        # What a page holds at the least, and what no row of ours needs.
        assert all(1 < size < 20_000 for size in found.bytes.values()), found.bytes
        whole = tx.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    rows = one(
        services, "SELECT (SELECT count(*) FROM deliveries) AS deliveries, (SELECT count(*) FROM actions) AS acts"
    )
    sizes = found.bytes
    per_signal = sizes["body"] + sizes["signal"] + sizes["dead_letters"] + sizes["counters"]
    trail = sizes["trail_row"] * (COUNT * found.trail.signal + rows["acts"] * found.trail.action)
    told = COUNT * per_signal + rows["deliveries"] * sizes["delivery"] + rows["acts"] * sizes["action"] + trail
    assert 0.5 * whole < told < whole


def test_questions_write_nothing_and_so_can_be_asked_of_a_replica(
    services: Services, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(database_url, pool_size=1)
    fill.fill(engine, fill.Wish(400, services.clock.now()))
    with transaction(engine) as tx:
        signal_id = tx.execute(text("SELECT signal_id FROM signals LIMIT 1")).scalar_one()
        name = make_url(database_url).database
        tx.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    engine.dispose()
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", str(services.settings.redis_url))
    for words in (["trace", str(signal_id)], ["signals"], ["queues"], ["balance"]):
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, (words, done.output, done.exception)
    with pytest.raises(InternalError, match="read-only"), transaction(engine) as tx:
        tx.execute(text("UPDATE signals SET reason = reason"))
    engine.dispose()
