"""Users, their sessions and tokens, links that sign in once, and how often sign-ins were tried."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

USERS = """
    CREATE TABLE users (
        user_id UUID NOT NULL,
        email TEXT NOT NULL,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        owner_id TEXT,
        stand_in UUID,
        active BOOLEAN NOT NULL DEFAULT true,
        password_hash TEXT,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_users PRIMARY KEY (user_id),
        CONSTRAINT uq_users_email UNIQUE (email),
        CONSTRAINT ck_users_role CHECK (role IN ('viewer', 'rep', 'operator', 'admin')),
        CONSTRAINT ck_users_email CHECK (email = lower(email)),
        CONSTRAINT fk_users_stand_in FOREIGN KEY (stand_in) REFERENCES users (user_id)
    )
"""
SESSIONS = """
    CREATE TABLE sessions (
        session_id UUID NOT NULL,
        session_hash BYTEA NOT NULL,
        user_id UUID NOT NULL,
        way TEXT NOT NULL,
        device TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_sessions PRIMARY KEY (session_id),
        CONSTRAINT uq_sessions_session_hash UNIQUE (session_hash),
        CONSTRAINT fk_sessions_user_id FOREIGN KEY (user_id) REFERENCES users (user_id)
    )
"""
API_TOKENS = """
    CREATE TABLE api_tokens (
        token_id UUID NOT NULL,
        token_hash BYTEA NOT NULL,
        user_id UUID NOT NULL,
        name TEXT NOT NULL,
        prefix TEXT NOT NULL,
        scopes JSONB NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE,
        revoked_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_api_tokens PRIMARY KEY (token_id),
        CONSTRAINT uq_api_tokens_token_hash UNIQUE (token_hash),
        CONSTRAINT fk_api_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (user_id)
    )
"""
SIGN_IN_LINKS = """
    CREATE TABLE sign_in_links (
        link_id UUID NOT NULL,
        link_hash BYTEA NOT NULL,
        user_id UUID NOT NULL,
        made_by TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_sign_in_links PRIMARY KEY (link_id),
        CONSTRAINT uq_sign_in_links_link_hash UNIQUE (link_hash),
        CONSTRAINT fk_sign_in_links_user_id FOREIGN KEY (user_id) REFERENCES users (user_id)
    )
"""
SIGN_IN_TRIES = """
    CREATE TABLE sign_in_tries (
        key BYTEA NOT NULL,
        since TIMESTAMP WITH TIME ZONE NOT NULL,
        tries INTEGER NOT NULL,
        CONSTRAINT pk_sign_in_tries PRIMARY KEY (key)
    )
"""
INDEXES = (
    ("ix_users_stand_in", "users (stand_in)"),
    ("ix_sessions_user_id", "sessions (user_id)"),
    ("ix_sessions_expires_at", "sessions (expires_at)"),
    ("ix_api_tokens_user_id", "api_tokens (user_id)"),
    ("ix_sign_in_links_user_id", "sign_in_links (user_id)"),
    ("ix_sign_in_links_expires_at", "sign_in_links (expires_at)"),
    ("ix_sign_in_tries_since", "sign_in_tries (since)"),
)


def upgrade() -> None:
    for table in (USERS, SESSIONS, API_TOKENS, SIGN_IN_LINKS, SIGN_IN_TRIES):
        op.execute(table)
    # Two people who are one owner in the CRM would leave open whose deal it is.
    op.execute("CREATE UNIQUE INDEX uq_users_owner_id ON users (owner_id) WHERE owner_id IS NOT NULL AND active")
    for name, what in INDEXES:
        op.execute(f"CREATE INDEX {name} ON {what}")


def downgrade() -> None:
    for table in ("sign_in_tries", "sign_in_links", "api_tokens", "sessions", "users"):
        op.execute(f"DROP TABLE {table}")
