"""The ledger's tables: made, taken away and made again, and the same as the models say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

import revpipe.models
from revpipe import migrate
from revpipe.db import Base, make_engine, transaction
from tests.integration.ledger_fixtures import at_once

TABLES = set(Base.metadata.tables) | {"alembic_version"}


def downgrade(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.SCRIPTS))
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


@pytest.fixture
def engine(empty_url: str) -> Any:
    made = make_engine(empty_url)
    yield made
    made.dispose()


def test_up_down_and_up_again(engine: Engine) -> None:
    assert migrate.upgrade(engine) == migrate.newest()
    assert tables(engine) >= TABLES
    downgrade(engine)
    assert tables(engine) == {"alembic_version"}
    with transaction(engine) as connection:
        left = connection.execute(text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")).all()
        sequences = connection.execute(text("SELECT relname FROM pg_class WHERE relkind = 'S'")).all()
        assert (left, sequences) == ([], [])
        assert migrate.current(connection) is None
    assert migrate.upgrade(engine) == migrate.newest()
    assert tables(engine) >= TABLES


def test_running_it_again_changes_nothing(engine: Engine) -> None:
    migrate.upgrade(engine)
    before = tables(engine)
    assert migrate.upgrade(engine) == migrate.newest()
    assert tables(engine) == before


def test_four_releases_at_once_all_succeed(engine: Engine) -> None:
    assert at_once(4, lambda _: migrate.upgrade(engine)) == [migrate.newest()] * 4
    assert tables(engine) >= TABLES


def test_models_and_migrations_tell_the_same(database_url: str) -> None:
    engine = make_engine(database_url)
    with transaction(engine) as connection:
        partitions = {
            row.name for row in connection.execute(text("SELECT inhrelid::regclass::text AS name FROM pg_inherits"))
        }

        def ours(name: str | None, kind: str, _: Any) -> bool:
            return not (kind == "table" and name in partitions)

        context = MigrationContext.configure(
            connection, opts={"include_name": ours, "compare_type": True, "compare_server_default": True}
        )
        assert revpipe.models.SignalRow.metadata is Base.metadata
        assert compare_metadata(context, Base.metadata) == []
        assert {"trail_default", "deliveries_default"} <= partitions
    engine.dispose()


def test_keepers_that_make_the_same_partitions_at_once_do_not_break_each_other(database_url: str) -> None:
    engine = make_engine(database_url)

    def make(_: int) -> int:
        with transaction(engine) as connection:
            return migrate.ensure_partitions(connection, datetime(2051, 5, 1, tzinfo=UTC))

    assert sum(at_once(5, make)) == 10
    engine.dispose()


@pytest.mark.parametrize(
    ("now", "months"),
    [
        (datetime(2031, 1, 31, tzinfo=UTC), ["2030_12", "2031_01", "2031_02", "2031_03", "2031_04"]),
        (datetime(2031, 11, 1, tzinfo=UTC), ["2031_10", "2031_11", "2031_12", "2032_01", "2032_02"]),
    ],
)
def test_partitions_reach_over_the_turn_of_the_year(database_url: str, now: datetime, months: list[str]) -> None:
    engine = make_engine(database_url)
    with transaction(engine) as connection:
        assert migrate.ensure_partitions(connection, now) == 10
        assert migrate.ensure_partitions(connection, now) == 0
    assert {f"{table}_{month}" for table in migrate.PARTITIONED for month in months} <= tables(engine)
    engine.dispose()
