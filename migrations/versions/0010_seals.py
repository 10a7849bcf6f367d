"""The chain of seals over what was decided, and the list of what it has still to take in."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE seals (
        number BIGINT NOT NULL,
        format SMALLINT NOT NULL,
        made_at TIMESTAMP WITH TIME ZONE NOT NULL,
        first_at TIMESTAMP WITH TIME ZONE NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE NOT NULL,
        count INTEGER NOT NULL,
        digest TEXT NOT NULL,
        previous TEXT NOT NULL,
        hash TEXT NOT NULL,
        entries TEXT NOT NULL,
        CONSTRAINT pk_seals PRIMARY KEY (number)
    )
    """,
    # Filled and emptied all day, as `tallies` is: its dead rows are to go at once.
    """
    CREATE TABLE unsealed (
        unsealed_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        queued_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        CONSTRAINT pk_unsealed PRIMARY KEY (unsealed_id)
    )
    """,
    "ALTER TABLE unsealed SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)",
)

APPEND_ONLY = """
    CREATE FUNCTION seals_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'seals are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
    END $$
"""

# What is final is listed in the transaction that makes it so: whoever can see the row can see its listing, in whatever
# order transactions commit. One statement a statement, not one a row: a stage writes its chunk in one.
PLANS = """
    CREATE FUNCTION list_new_plans() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key)
        SELECT 'plan', plan_id || '@' || CAST(extract(epoch FROM created_at) * 1000000 AS bigint) FROM fresh;
        RETURN NULL;
    END $$
"""
NEWER_PLANS = """
    CREATE FUNCTION list_newer_plans() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key)
        SELECT 'plan', plan_id || '@' || CAST(extract(epoch FROM fresh.created_at) * 1000000 AS bigint)
        FROM fresh JOIN former USING (plan_id) WHERE fresh.created_at <> former.created_at;
        RETURN NULL;
    END $$
"""
ACTIONS = """
    CREATE FUNCTION list_planned_actions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key) SELECT 'action', action_id FROM fresh;
        RETURN NULL;
    END $$
"""
ENDED = "('approved', 'rejected', 'expired', 'cancelled')"
REQUESTS = f"""
    CREATE FUNCTION list_requested_approvals() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key) SELECT 'approval_requested', approval_id FROM fresh;
        INSERT INTO unsealed (kind, key) SELECT 'approval_decided', approval_id FROM fresh WHERE state IN {ENDED};
        RETURN NULL;
    END $$
"""
DECISIONS = f"""
    CREATE FUNCTION list_decided_approvals() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key)
        SELECT 'approval_decided', approval_id FROM fresh JOIN former USING (approval_id)
        WHERE fresh.state IN {ENDED} AND former.state NOT IN {ENDED};
        RETURN NULL;
    END $$
"""
VERSIONS = """
    CREATE FUNCTION list_approval_versions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key) SELECT 'approval_version', approval_id || '@' || version FROM fresh;
        RETURN NULL;
    END $$
"""
ACTS = """
    CREATE FUNCTION list_operator_acts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key) SELECT 'audit', audit_id FROM fresh;
        INSERT INTO unsealed (kind, key) SELECT 'audit_outcome', audit_id FROM fresh WHERE detail ? 'outcome';
        RETURN NULL;
    END $$
"""
OUTCOMES = """
    CREATE FUNCTION list_operator_outcomes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO unsealed (kind, key)
        SELECT 'audit_outcome', audit_id FROM fresh JOIN former USING (audit_id)
        WHERE fresh.detail ? 'outcome' AND NOT former.detail ? 'outcome';
        RETURN NULL;
    END $$
"""
FUNCTIONS = (APPEND_ONLY, PLANS, NEWER_PLANS, ACTIONS, REQUESTS, DECISIONS, VERSIONS, ACTS, OUTCOMES)
NAMES = (
    "seals_are_append_only",
    *(
        "list_new_plans",
        "list_newer_plans",
        "list_planned_actions",
        "list_requested_approvals",
        "list_decided_approvals",
    ),
    *("list_approval_versions", "list_operator_acts", "list_operator_outcomes"),
)
LISTED = (
    ("plans", "INSERT", "list_new_plans"),
    ("plans", "UPDATE", "list_newer_plans"),
    ("actions", "INSERT", "list_planned_actions"),
    ("approvals", "INSERT", "list_requested_approvals"),
    ("approvals", "UPDATE", "list_decided_approvals"),
    ("approval_versions", "INSERT", "list_approval_versions"),
    ("operator_audit", "INSERT", "list_operator_acts"),
    ("operator_audit", "UPDATE", "list_operator_outcomes"),
)

# As in 0001, and it lists the month that it makes, so that a month that is gone can be told from one that never was.
MONTH_PARTITION = """
    CREATE OR REPLACE FUNCTION ensure_month_partition(parent text, month date) RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE
        child text := parent || to_char(month, '_YYYY_MM');
        start_at timestamptz := date_trunc('month', month::timestamp) AT TIME ZONE 'UTC';
        end_at timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') AT TIME ZONE 'UTC';
    BEGIN
        IF to_regclass(child) IS NOT NULL THEN
            RETURN false;
        END IF;
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                       child, parent, start_at, end_at);
        IF parent = 'trail' THEN
            EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON %I
                            FOR EACH STATEMENT EXECUTE FUNCTION trail_is_append_only()', child);
        END IF;
        {listing}RETURN true;
    EXCEPTION
        WHEN duplicate_table THEN
            RETURN false;
        WHEN check_violation THEN
            RAISE WARNING '% has rows of % already, which stay there', parent || '_default', month;
            RETURN false;
    END $$
"""
LISTING = "INSERT INTO unsealed (kind, key) VALUES ('month', child);\n        "
BEGINNING = (
    # What is older than the chain is not sealed: nobody could vouch for it now.
    """
    INSERT INTO unsealed (kind, key)
    VALUES ('began', CAST(CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint) AS text))
    """,
    """
    INSERT INTO unsealed (kind, key)
    SELECT 'month', c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
    WHERE inhparent IN (CAST('trail' AS regclass), CAST('deliveries' AS regclass)) AND c.relname ~ '_\\d{4}_\\d{2}$'
    ORDER BY 1
    """,
)


def upgrade() -> None:
    for statement in (*TABLES, *FUNCTIONS):
        op.execute(statement)
    for name, when in (("no_change", "UPDATE OR DELETE ON seals FOR EACH ROW"), ("no_truncate", "TRUNCATE ON seals")):
        op.execute(f"CREATE TRIGGER {name} BEFORE {when} EXECUTE FUNCTION seals_are_append_only()")
    for table, event, function in LISTED:
        former = "OLD TABLE AS former " if event == "UPDATE" else ""
        op.execute(
            f"CREATE TRIGGER {function} AFTER {event} ON {table} REFERENCING {former}NEW TABLE AS fresh"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
    op.execute(MONTH_PARTITION.replace("{listing}", LISTING))
    for statement in BEGINNING:
        op.execute(statement)


def downgrade() -> None:
    op.execute(MONTH_PARTITION.replace("{listing}", ""))
    for table, _, function in LISTED:
        op.execute(f"DROP TRIGGER {function} ON {table}")
    op.execute("DROP TABLE unsealed")
    op.execute("DROP TABLE seals")
    for name in NAMES:
        op.execute(f"DROP FUNCTION {name}()")
