"""The REST API: answers to requests that may be sent again, and lists of plans and actions by their time."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE idempotency_keys (
        sender TEXT NOT NULL,
        key TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        claim_id UUID NOT NULL,
        busy_until TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        status SMALLINT,
        headers JSONB,
        body BYTEA,
        CONSTRAINT pk_idempotency_keys PRIMARY KEY (sender, key)
    )
    """,
    "CREATE INDEX ix_idempotency_keys_expires ON idempotency_keys (expires_at)",
    # Both times only ever grow, so that a new row is written at the right end of its index.
    "CREATE INDEX ix_plans_created ON plans (created_at, plan_id)",
    "CREATE INDEX ix_actions_created ON actions (created_at, action_id)",
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX ix_actions_created")
    op.execute("DROP INDEX ix_plans_created")
    op.execute("DROP TABLE idempotency_keys")
