"""Several signals of one subject in a short time: who waits with whom, who was carried by whom, and since when."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

QUIET_PERIODS = """
    CREATE TABLE quiet_periods (
        subject TEXT NOT NULL,
        began_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_quiet_periods PRIMARY KEY (subject)
    )
"""
# Each holds only the few rows that it is for. Neither column is written by a claim or a renewal.
INDEXES = (
    ("ix_signals_gathering", "signals (gathering) WHERE gathering IS NOT NULL"),
    ("ix_signals_coalesced", "signals (coalesced_into) WHERE coalesced_into IS NOT NULL"),
)


def upgrade() -> None:
    op.execute(QUIET_PERIODS)
    op.execute("ALTER TABLE quiet_periods SET (fillfactor = 70)")
    # Without defaults this rewrites nothing; a row of the release before waits for nobody and was carried by nobody.
    op.execute("ALTER TABLE signals ADD COLUMN gathering TEXT, ADD COLUMN coalesced_into UUID")
    for name, what in INDEXES:
        op.execute(f"CREATE INDEX {name} ON {what}")


def downgrade() -> None:
    for name, _ in reversed(INDEXES):
        op.execute(f"DROP INDEX {name}")
    op.execute("ALTER TABLE signals DROP COLUMN gathering, DROP COLUMN coalesced_into")
    op.execute("DROP TABLE quiet_periods")
