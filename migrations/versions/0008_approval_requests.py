"""Requests for approval as their recipients see them, the people of a Slack workspace, and links in e-mails."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

REQUESTS = """
    CREATE TABLE approval_requests (
        request_id UUID NOT NULL,
        approval_id UUID NOT NULL,
        action_id UUID NOT NULL,
        signal_id UUID NOT NULL,
        correlation_id UUID NOT NULL,
        deal_id TEXT,
        priority TEXT NOT NULL,
        way TEXT NOT NULL,
        address TEXT NOT NULL,
        user_id UUID,
        note TEXT,
        state TEXT NOT NULL,
        reason TEXT,
        shown_revision INTEGER NOT NULL DEFAULT 0,
        shown_version INTEGER,
        place TEXT,
        ref TEXT,
        thread TEXT,
        maybe_sent BOOLEAN NOT NULL DEFAULT false,
        first_tried_at TIMESTAMP WITH TIME ZONE,
        delivered_at TIMESTAMP WITH TIME ZONE,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        queue TEXT,
        due_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
        sent_at TIMESTAMP WITH TIME ZONE,
        send_no BIGINT NOT NULL DEFAULT 0,
        claim_id UUID,
        lease_until TIMESTAMP WITH TIME ZONE,
        attempts SMALLINT NOT NULL DEFAULT 0,
        tried_at TIMESTAMP WITH TIME ZONE,
        worker TEXT,
        deaths SMALLINT NOT NULL DEFAULT 0,
        waits_for TEXT,
        CONSTRAINT pk_approval_requests PRIMARY KEY (request_id),
        CONSTRAINT fk_approval_requests_approval_id FOREIGN KEY (approval_id) REFERENCES approvals (approval_id)
            ON DELETE CASCADE,
        CONSTRAINT ck_approval_requests_way CHECK (way IN ('slack', 'email')),
        CONSTRAINT ck_approval_requests_state CHECK (state IN ('wanted', 'shown', 'undeliverable', 'over'))
    )
"""
SLACK_USERS = """
    CREATE TABLE slack_users (
        email TEXT NOT NULL,
        team_id TEXT,
        slack_id TEXT,
        place TEXT,
        looked_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_slack_users PRIMARY KEY (email)
    )
"""
SLACK_PRESSES = """
    CREATE TABLE slack_presses (
        fingerprint BYTEA NOT NULL,
        pressed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_slack_presses PRIMARY KEY (fingerprint)
    )
"""
TOKENS = """
    CREATE TABLE one_time_tokens (
        token_hash BYTEA NOT NULL,
        approval_id UUID NOT NULL,
        action_id UUID NOT NULL,
        version INTEGER NOT NULL,
        user_id UUID,
        email TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE,
        used_for TEXT,
        CONSTRAINT pk_one_time_tokens PRIMARY KEY (token_hash),
        CONSTRAINT fk_one_time_tokens_approval_id FOREIGN KEY (approval_id) REFERENCES approvals (approval_id)
            ON DELETE CASCADE
    )
"""
INDEXES = (
    ("UNIQUE INDEX uq_approval_requests_recipient", "approval_requests (approval_id, way, address) WHERE note IS NULL"),
    ("INDEX ix_approval_requests_approval_id", "approval_requests (approval_id)"),
    (
        "INDEX ix_approval_requests_due",
        "approval_requests (queue, due_at) WHERE queue IS NOT NULL AND sent_at IS NULL",
    ),
    ("INDEX ix_approval_requests_sent", "approval_requests (sent_at) WHERE queue IS NOT NULL AND sent_at IS NOT NULL"),
    (
        "INDEX ix_approval_requests_waits",
        "approval_requests (waits_for, queue, created_at) WHERE waits_for IS NOT NULL",
    ),
    (
        "INDEX ix_approval_requests_thread",
        "approval_requests (deal_id, place, created_at) WHERE ref IS NOT NULL AND thread IS NULL",
    ),
    ("INDEX ix_slack_users_slack_id", "slack_users (team_id, slack_id)"),
    ("INDEX ix_slack_presses_pressed_at", "slack_presses (pressed_at)"),
    ("INDEX ix_one_time_tokens_approval_id", "one_time_tokens (approval_id)"),
    # Holds only the approvals whose last change is still to be told: nearly none at any moment.
    ("INDEX ix_approvals_untold", "approvals (changed_at) WHERE told_revision < revision"),
)


def upgrade() -> None:
    for table in (REQUESTS, SLACK_USERS, SLACK_PRESSES, TOKENS):
        op.execute(table)
    op.execute("ALTER TABLE approval_requests SET (fillfactor = 70)")
    # Without a rewrite: what is over counts as told, whereas what is open, and what either release asks from now on,
    # is told once the keeper of this release looks.
    op.execute("ALTER TABLE approvals ADD COLUMN told_revision INTEGER NOT NULL DEFAULT 0")
    op.execute("ALTER TABLE approvals ALTER COLUMN told_revision SET DEFAULT -1")
    op.execute("UPDATE approvals SET told_revision = -1 WHERE state = 'open'")
    for kind, what in INDEXES:
        op.execute(f"CREATE {kind} ON {what}")


def downgrade() -> None:
    op.execute("DROP INDEX ix_approvals_untold")
    op.execute("ALTER TABLE approvals DROP COLUMN told_revision")
    for table in ("one_time_tokens", "slack_presses", "slack_users", "approval_requests"):
        op.execute(f"DROP TABLE {table}")
