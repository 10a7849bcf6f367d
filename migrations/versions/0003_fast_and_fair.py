"""What lets the ledger grow: indexes for what scanned whole tables, vacuum for tables that churn; and imports."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# None of these holds a column that a claim or a renewal of a lease writes: those updates stay within their page.
INDEXES = (
    # For the deletion of plans, which the reference from their actions would else look for row by row.
    ("ix_actions_plan", "actions (plan_id)"),
    # The feed goes from source to source.
    ("ix_signals_turn", "signals (queue, source, due_at) WHERE queue IS NOT NULL AND sent_at IS NULL"),
    ("ix_dead_letters_delivery", "dead_letters (delivery_id)"),
)
# The cache is asked by key; before PostgreSQL 18 an index that begins with something else is read whole for that.
CACHE_KEY = (
    "ALTER TABLE cached_parts DROP CONSTRAINT pk_cached_parts, ADD CONSTRAINT pk_cached_parts PRIMARY KEY ({columns})"
)
# Why these: docs/decisions/017-growth.md. `tallies` is filled and emptied all day, so its dead rows are to go at once.
SETTINGS = {
    "signals": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_limit = 1000",
    "actions": "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_limit = 1000",
    "tallies": "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000",
    "counters": "fillfactor = 70",
}
FORMER = "fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02"

IMPORTS = """
    CREATE TABLE imports (
        import_id UUID NOT NULL,
        source TEXT NOT NULL,
        name TEXT,
        sha256 TEXT,
        state TEXT DEFAULT 'running' NOT NULL,
        reason TEXT,
        deliveries INTEGER DEFAULT 0 NOT NULL,
        rows INTEGER DEFAULT 0 NOT NULL,
        accepted INTEGER DEFAULT 0 NOT NULL,
        duplicates INTEGER DEFAULT 0 NOT NULL,
        rejected INTEGER DEFAULT 0 NOT NULL,
        ignored JSONB NOT NULL,
        began_at TIMESTAMP WITH TIME ZONE NOT NULL,
        touched_at TIMESTAMP WITH TIME ZONE NOT NULL,
        ended_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_imports PRIMARY KEY (import_id),
        CONSTRAINT ck_imports_state CHECK (state IN ('running', 'done', 'refused', 'broken'))
    )
"""


def upgrade() -> None:
    op.execute(IMPORTS)
    op.execute("CREATE INDEX ix_imports_began ON imports (began_at)")
    for name, what in INDEXES:
        op.execute(f"CREATE INDEX {name} ON {what}")
    op.execute(CACHE_KEY.format(columns="key, provider, part"))
    for table, settings in SETTINGS.items():
        op.execute(f"ALTER TABLE {table} SET ({settings})")


def downgrade() -> None:
    op.execute("DROP TABLE imports")
    for table, settings in SETTINGS.items():
        names = ", ".join(one.split(" = ")[0] for one in settings.split(", "))
        op.execute(f"ALTER TABLE {table} RESET ({names})")
    for table in ("signals", "actions"):
        op.execute(f"ALTER TABLE {table} SET ({FORMER})")
    op.execute(CACHE_KEY.format(columns="provider, part, key"))
    for name, _ in reversed(INDEXES):
        op.execute(f"DROP INDEX {name}")
