"""What proves that nothing is lost: deaths and circuits on the rows, closed dead letters, the balance, the audit."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# `deaths` counts how often the worker of a row died while it held the row alone; `waits_for` names the circuit
# that a parked row waits for.
ROWS = (
    "ALTER TABLE {table} ADD COLUMN deaths SMALLINT DEFAULT 0 NOT NULL",
    "ALTER TABLE {table} ADD COLUMN waits_for TEXT",
    "CREATE INDEX ix_{table}_waits ON {table} (waits_for, queue, {order}) WHERE waits_for IS NOT NULL",
)
OTHERS = (
    "ALTER TABLE dead_letters ADD COLUMN closed_at TIMESTAMP WITH TIME ZONE",
    "ALTER TABLE dead_letters ADD COLUMN closed_by TEXT",
    "ALTER TABLE dead_letters ADD COLUMN closed_why TEXT",
    "ALTER TABLE dead_letters ADD COLUMN replays INTEGER DEFAULT 0 NOT NULL",
    "CREATE INDEX ix_dead_letters_last ON dead_letters (last_at, letter_id)",
    # How often a signal was decided anew, and when an action was last carried out anew.
    "ALTER TABLE signals ADD COLUMN replays SMALLINT DEFAULT 0 NOT NULL",
    "ALTER TABLE actions ADD COLUMN replayed_at TIMESTAMP WITH TIME ZONE",
    """
    CREATE TABLE superseded (
        superseded_id UUID NOT NULL,
        signal_id UUID NOT NULL,
        kind TEXT NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        audit_id UUID NOT NULL,
        record JSONB NOT NULL,
        CONSTRAINT pk_superseded PRIMARY KEY (superseded_id),
        CONSTRAINT fk_superseded_signal_id FOREIGN KEY (signal_id) REFERENCES signals (signal_id),
        CONSTRAINT ck_superseded_kind CHECK (kind IN ('payload', 'context', 'plan'))
    )
    """,
    "CREATE INDEX ix_superseded_signal ON superseded (signal_id)",
    # No index but the key: rows are only ever added, and folded into `counters` by the keeper every minute.
    """
    CREATE TABLE tallies (
        tally_id UUID DEFAULT gen_random_uuid() NOT NULL,
        hour TIMESTAMP WITH TIME ZONE NOT NULL,
        name TEXT NOT NULL,
        n INTEGER NOT NULL,
        CONSTRAINT pk_tallies PRIMARY KEY (tally_id)
    )
    """,
    """
    CREATE TABLE operator_audit (
        audit_id UUID NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        actor TEXT NOT NULL,
        command TEXT NOT NULL,
        detail JSONB NOT NULL,
        CONSTRAINT pk_operator_audit PRIMARY KEY (audit_id)
    )
    """,
    "CREATE INDEX ix_operator_audit_at ON operator_audit (at)",
    """
    CREATE TABLE balances (
        name TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        found JSONB NOT NULL,
        CONSTRAINT pk_balances PRIMARY KEY (name)
    )
    """,
    "CREATE INDEX ix_counters_open ON counters (hour) WHERE name = 'balance:open' AND count <> 0",
    # What is there already is counted once, so that the tallies have something to add to.
    """
    INSERT INTO counters (hour, name, count)
    SELECT hour, name, count(*) FROM (
        SELECT date_trunc('hour', received_at, 'UTC') AS hour, unnest(ARRAY[
            'balance:accepted', 'balance:' || coalesce(disposition, 'open')
        ]) AS name FROM signals
        UNION ALL
        SELECT to_timestamp(0), unnest(ARRAY['total:accepted', 'total:' || disposition]) FROM signals
    ) AS known WHERE name IS NOT NULL GROUP BY hour, name
    """,
)
ORDER = {"signals": "fired_at", "actions": "created_at"}


def upgrade() -> None:
    for table, order in ORDER.items():
        for statement in ROWS:
            op.execute(statement.format(table=table, order=order))
    for statement in OTHERS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX ix_counters_open")
    op.execute("DELETE FROM counters WHERE name LIKE 'balance:%' OR name LIKE 'total:%'")
    for table in ("superseded", "balances", "operator_audit", "tallies"):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP INDEX ix_dead_letters_last")
    op.execute("ALTER TABLE signals DROP COLUMN replays")
    op.execute("ALTER TABLE actions DROP COLUMN replayed_at")
    for column in ("closed_at", "closed_by", "closed_why", "replays"):
        op.execute(f"ALTER TABLE dead_letters DROP COLUMN {column}")
    for table in ORDER:
        op.execute(f"ALTER TABLE {table} DROP COLUMN deaths, DROP COLUMN waits_for")
