"""Approvals as records: who was asked, what was edited, who decided by which way; and whom nothing is sent to."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Constant defaults rewrite nothing. They are what holds for a row of the release before: nobody in particular was
# asked, and nothing happens by itself when its time is up.
COLUMNS = (
    "version INTEGER NOT NULL DEFAULT 1",
    "revision INTEGER NOT NULL DEFAULT 0",
    "changed_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()",
    "way TEXT",
    "why TEXT NOT NULL DEFAULT ''",
    "planned_by TEXT NOT NULL DEFAULT 'rules'",
    "risk TEXT NOT NULL DEFAULT 'high'",
    "on_expiry TEXT NOT NULL DEFAULT 'expire'",
    "needed SMALLINT NOT NULL DEFAULT 1",
    "owner_id TEXT",
    "approver_user_id UUID",
    "approver_email TEXT",
    "approver_role TEXT DEFAULT 'operator'",
    "delivered_at TIMESTAMP WITH TIME ZONE",
    "seen_at TIMESTAMP WITH TIME ZONE",
    "escalated_at TIMESTAMP WITH TIME ZONE",
)
VERSIONS = """
    CREATE TABLE approval_versions (
        approval_id UUID NOT NULL,
        version INTEGER NOT NULL,
        params JSONB NOT NULL,
        by TEXT NOT NULL,
        way TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_approval_versions PRIMARY KEY (approval_id, version),
        CONSTRAINT fk_approval_versions_approval_id FOREIGN KEY(approval_id) REFERENCES approvals (approval_id)
    )
"""
VOTES = """
    CREATE TABLE approval_votes (
        approval_id UUID NOT NULL,
        by TEXT NOT NULL,
        version INTEGER NOT NULL,
        way TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_approval_votes PRIMARY KEY (approval_id, by),
        CONSTRAINT fk_approval_votes_approval_id FOREIGN KEY(approval_id) REFERENCES approvals (approval_id)
    )
"""
SUPPRESSIONS = """
    CREATE TABLE suppressions (
        address TEXT NOT NULL,
        reason TEXT NOT NULL,
        added_by TEXT NOT NULL,
        added_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_suppressions PRIMARY KEY (address),
        CONSTRAINT ck_suppressions_reason CHECK (reason IN ('unsubscribed', 'do_not_contact', 'competitor')),
        CONSTRAINT ck_suppressions_address CHECK (address = lower(address))
    )
"""
INDEXES = (
    ("ix_approvals_state", "approvals (state, expires_at, action_id)"),
    ("ix_approvals_owner", "approvals (owner_id, state, expires_at, action_id)"),
    ("ix_approvals_changed", "approvals (changed_at)"),
    (
        "ix_actions_recipient",
        "actions (recipient, done_at) WHERE recipient IS NOT NULL AND state = 'done'",
    ),
)


def upgrade() -> None:
    op.execute("ALTER TABLE approvals " + ", ".join(f"ADD COLUMN {column}" for column in COLUMNS))
    op.execute("ALTER TABLE actions ADD COLUMN released_at TIMESTAMP WITH TIME ZONE, ADD COLUMN recipient TEXT")
    for table in (VERSIONS, VOTES, SUPPRESSIONS):
        op.execute(table)
    for name, what in INDEXES:
        op.execute(f"CREATE INDEX {name} ON {what}")


def downgrade() -> None:
    for name, _ in reversed(INDEXES):
        op.execute(f"DROP INDEX {name}")
    for table in ("suppressions", "approval_votes", "approval_versions"):
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE actions DROP COLUMN released_at, DROP COLUMN recipient")
    names = (column.split()[0] for column in COLUMNS)
    op.execute("ALTER TABLE approvals " + ", ".join(f"DROP COLUMN {name}" for name in names))
