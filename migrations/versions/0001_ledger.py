"""The ledger: every table, the send numbers, and a trail that can only grow."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE cached_parts (
        provider TEXT NOT NULL,
        part TEXT NOT NULL,
        key TEXT NOT NULL,
        value JSONB NOT NULL,
        fetched_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_cached_parts PRIMARY KEY (provider, part, key)
    )
    """,
    "CREATE INDEX ix_cached_parts_expires_at ON cached_parts (expires_at)",
    """
    CREATE TABLE counters (
        hour TIMESTAMP WITH TIME ZONE NOT NULL,
        name TEXT NOT NULL,
        count BIGINT NOT NULL,
        CONSTRAINT pk_counters PRIMARY KEY (hour, name)
    )
    """,
    """
    CREATE TABLE dead_letters (
        letter_id UUID NOT NULL,
        letter_key TEXT NOT NULL,
        stage TEXT NOT NULL,
        source TEXT,
        queue TEXT,
        reason TEXT NOT NULL,
        error TEXT NOT NULL,
        traceback TEXT,
        signal_id UUID,
        action_id UUID,
        delivery_id UUID,
        correlation_id UUID,
        message BYTEA,
        attempts INTEGER NOT NULL,
        times INTEGER DEFAULT 1 NOT NULL,
        worker TEXT,
        state TEXT DEFAULT 'open' NOT NULL,
        first_at TIMESTAMP WITH TIME ZONE NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE NOT NULL,
        detail JSONB NOT NULL,
        CONSTRAINT pk_dead_letters PRIMARY KEY (letter_id),
        CONSTRAINT ck_dead_letters_state CHECK (state IN ('open', 'replayed', 'discarded')),
        CONSTRAINT uq_dead_letters_letter_key UNIQUE (letter_key)
    )
    """,
    "CREATE INDEX ix_dead_letters_correlation ON dead_letters (correlation_id)",
    "CREATE INDEX ix_dead_letters_open ON dead_letters (last_at) WHERE state = 'open'",
    "CREATE INDEX ix_dead_letters_signal ON dead_letters (signal_id)",
    """
    CREATE TABLE deliveries (
        received_at TIMESTAMP WITH TIME ZONE NOT NULL,
        delivery_id UUID NOT NULL,
        correlation_id UUID NOT NULL,
        source TEXT NOT NULL,
        target TEXT NOT NULL,
        headers JSONB NOT NULL,
        body BYTEA NOT NULL,
        accepted INTEGER NOT NULL,
        duplicates INTEGER NOT NULL,
        rejected INTEGER NOT NULL,
        CONSTRAINT pk_deliveries PRIMARY KEY (received_at, delivery_id)
    ) PARTITION BY RANGE (received_at)
    """,
    "CREATE INDEX ix_deliveries_delivery_id ON deliveries (delivery_id)",
    """
    CREATE TABLE leases (
        duty TEXT NOT NULL,
        holder TEXT NOT NULL,
        until TIMESTAMP WITH TIME ZONE NOT NULL,
        round_at TIMESTAMP WITH TIME ZONE NOT NULL,
        epoch TEXT,
        CONSTRAINT pk_leases PRIMARY KEY (duty)
    )
    """,
    """
    CREATE TABLE rule_versions (
        version TEXT NOT NULL,
        source TEXT NOT NULL,
        first_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_rule_versions PRIMARY KEY (version)
    )
    """,
    """
    CREATE TABLE signals (
        signal_id UUID NOT NULL,
        schema_version SMALLINT NOT NULL,
        signal_type TEXT NOT NULL,
        event TEXT NOT NULL,
        source TEXT NOT NULL,
        account_id TEXT,
        deal_id TEXT,
        contact_id TEXT,
        payload JSONB NOT NULL,
        urgency TEXT NOT NULL,
        confidence DOUBLE PRECISION NOT NULL,
        fired_at TIMESTAMP WITH TIME ZONE NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE NOT NULL,
        delivery_id UUID NOT NULL,
        correlation_id UUID NOT NULL,
        priority TEXT NOT NULL,
        state TEXT NOT NULL,
        stage TEXT,
        disposition TEXT,
        reason TEXT,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        done_at TIMESTAMP WITH TIME ZONE,
        queue TEXT,
        due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        sent_at TIMESTAMP WITH TIME ZONE,
        send_no BIGINT DEFAULT 0 NOT NULL,
        claim_id UUID,
        lease_until TIMESTAMP WITH TIME ZONE,
        attempts SMALLINT DEFAULT 0 NOT NULL,
        tried_at TIMESTAMP WITH TIME ZONE,
        worker TEXT,
        CONSTRAINT pk_signals PRIMARY KEY (signal_id),
        CONSTRAINT ck_signals_state CHECK (state IN ('received', 'enriched', 'decided', 'parked', 'waiting', 'done')),
        CONSTRAINT ck_signals_disposition CHECK (disposition IN (
            'dead_lettered', 'acted', 'rejected', 'expired', 'suppressed', 'coalesced', 'nothing_due'
        )),
        CONSTRAINT ck_signals_done_has_disposition CHECK ((state = 'done') = (disposition IS NOT NULL))
    )
    """,
    "CREATE INDEX ix_signals_account ON signals (account_id, fired_at) WHERE account_id IS NOT NULL",
    "CREATE INDEX ix_signals_correlation ON signals (correlation_id)",
    "CREATE INDEX ix_signals_deal ON signals (deal_id, fired_at) WHERE deal_id IS NOT NULL",
    "CREATE INDEX ix_signals_delivery ON signals (delivery_id)",
    "CREATE INDEX ix_signals_due ON signals (queue, due_at) WHERE queue IS NOT NULL AND sent_at IS NULL",
    "CREATE INDEX ix_signals_open ON signals (received_at) WHERE state <> 'done'",
    "CREATE INDEX ix_signals_received ON signals (received_at)",
    "CREATE INDEX ix_signals_sent ON signals (sent_at) WHERE queue IS NOT NULL AND sent_at IS NOT NULL",
    """
    CREATE TABLE trail (
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        trail_id UUID NOT NULL,
        correlation_id UUID,
        signal_id UUID,
        action_id UUID,
        what TEXT NOT NULL,
        detail JSONB NOT NULL,
        CONSTRAINT pk_trail PRIMARY KEY (at, trail_id)
    ) PARTITION BY RANGE (at)
    """,
    "CREATE INDEX ix_trail_correlation ON trail (correlation_id)",
    "CREATE INDEX ix_trail_signal ON trail (signal_id)",
    """
    CREATE TABLE contexts (
        signal_id UUID NOT NULL,
        schema_version SMALLINT NOT NULL,
        subject TEXT NOT NULL,
        parts JSONB NOT NULL,
        complete BOOLEAN NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_contexts PRIMARY KEY (signal_id),
        CONSTRAINT fk_contexts_signal_id FOREIGN KEY(signal_id) REFERENCES signals (signal_id)
    )
    """,
    """
    CREATE TABLE plans (
        plan_id UUID NOT NULL,
        signal_id UUID NOT NULL,
        schema_version SMALLINT NOT NULL,
        decided_by TEXT NOT NULL,
        rules_version TEXT NOT NULL,
        conclusive BOOLEAN NOT NULL,
        why JSONB NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_plans PRIMARY KEY (plan_id),
        CONSTRAINT uq_plans_signal_id UNIQUE (signal_id),
        CONSTRAINT fk_plans_signal_id FOREIGN KEY(signal_id) REFERENCES signals (signal_id),
        CONSTRAINT fk_plans_rules_version FOREIGN KEY(rules_version) REFERENCES rule_versions (version)
    )
    """,
    """
    CREATE TABLE actions (
        action_id UUID NOT NULL,
        schema_version SMALLINT NOT NULL,
        signal_id UUID NOT NULL,
        plan_id UUID NOT NULL,
        correlation_id UUID NOT NULL,
        rule_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        deal_id TEXT,
        account_id TEXT,
        contact_id TEXT,
        type TEXT NOT NULL,
        adapter TEXT NOT NULL,
        priority TEXT NOT NULL,
        params JSONB NOT NULL,
        approval TEXT,
        state TEXT NOT NULL,
        reason TEXT,
        suppressed_by UUID,
        maybe_done BOOLEAN DEFAULT false NOT NULL,
        first_tried_at TIMESTAMP WITH TIME ZONE,
        effect JSONB,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        done_at TIMESTAMP WITH TIME ZONE,
        queue TEXT,
        due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        sent_at TIMESTAMP WITH TIME ZONE,
        send_no BIGINT DEFAULT 0 NOT NULL,
        claim_id UUID,
        lease_until TIMESTAMP WITH TIME ZONE,
        attempts SMALLINT DEFAULT 0 NOT NULL,
        tried_at TIMESTAMP WITH TIME ZONE,
        worker TEXT,
        CONSTRAINT pk_actions PRIMARY KEY (action_id),
        CONSTRAINT ck_actions_state CHECK (state IN (
            'planned', 'awaiting_approval', 'ready', 'running', 'done',
            'failed', 'unknown', 'rejected', 'expired', 'cancelled',
            'suppressed'
        )),
        CONSTRAINT fk_actions_signal_id FOREIGN KEY(signal_id) REFERENCES signals (signal_id),
        CONSTRAINT fk_actions_plan_id FOREIGN KEY(plan_id) REFERENCES plans (plan_id)
    )
    """,
    "CREATE INDEX ix_actions_correlation ON actions (correlation_id)",
    "CREATE INDEX ix_actions_due ON actions (queue, due_at) WHERE queue IS NOT NULL AND sent_at IS NULL",
    "CREATE INDEX ix_actions_sent ON actions (sent_at) WHERE queue IS NOT NULL AND sent_at IS NOT NULL",
    "CREATE INDEX ix_actions_signal ON actions (signal_id)",
    "CREATE INDEX ix_actions_subject ON actions (subject, created_at)",
    """
    CREATE UNIQUE INDEX uq_actions_one_open ON actions (rule_id, subject, type)
    WHERE state IN ('planned', 'awaiting_approval', 'ready', 'running', 'unknown')
    """,
    """
    CREATE TABLE approvals (
        approval_id UUID NOT NULL,
        action_id UUID NOT NULL,
        state TEXT NOT NULL,
        requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        decided_at TIMESTAMP WITH TIME ZONE,
        decided_by TEXT,
        reason TEXT,
        CONSTRAINT pk_approvals PRIMARY KEY (approval_id),
        CONSTRAINT ck_approvals_state CHECK (state IN ('open', 'approved', 'rejected', 'expired')),
        CONSTRAINT uq_approvals_action_id UNIQUE (action_id),
        CONSTRAINT fk_approvals_action_id FOREIGN KEY(action_id) REFERENCES actions (action_id)
    )
    """,
    "CREATE INDEX ix_approvals_open ON approvals (expires_at) WHERE state = 'open'",
)

APPEND_ONLY = """
    CREATE FUNCTION trail_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the trail is append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
    END $$
"""

# A month's partition is made ahead of its time by `revpipe migrate` and by the keeper. The default one catches
# what comes when both failed, so that an insert never fails for want of a partition; a month of which it holds
# rows gets no partition any more, which is no reason to stop a release. TRUNCATE triggers are not
# inherited by partitions, hence the trigger for each.
MONTH_PARTITION = """
    CREATE FUNCTION ensure_month_partition(parent text, month date) RETURNS boolean LANGUAGE plpgsql AS $$
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
        RETURN true;
    EXCEPTION
        WHEN duplicate_table THEN
            RETURN false;
        WHEN check_violation THEN
            RAISE WARNING '% has rows of % already, which stay there', parent || '_default', month;
            RETURN false;
    END $$
"""


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    op.execute("CREATE SEQUENCE send_numbers AS bigint")
    op.execute(APPEND_ONLY)
    op.execute(
        "CREATE TRIGGER no_change BEFORE UPDATE OR DELETE ON trail FOR EACH ROW EXECUTE FUNCTION trail_is_append_only()"
    )
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON trail FOR EACH STATEMENT EXECUTE FUNCTION trail_is_append_only()"
    )
    op.execute(MONTH_PARTITION)
    op.execute("CREATE TABLE trail_default PARTITION OF trail DEFAULT")
    op.execute(
        "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON trail_default "
        "FOR EACH STATEMENT EXECUTE FUNCTION trail_is_append_only()"
    )
    op.execute("CREATE TABLE deliveries_default PARTITION OF deliveries DEFAULT")
    for table in ("signals", "actions"):
        op.execute(
            f"ALTER TABLE {table} SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, "
            "autovacuum_analyze_scale_factor = 0.02)"
        )


def downgrade() -> None:
    for table in (
        "approvals",
        "actions",
        "plans",
        "contexts",
        "trail",
        "signals",
        "rule_versions",
        "leases",
        "deliveries",
        "dead_letters",
        "counters",
        "cached_parts",
    ):
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP SEQUENCE send_numbers")
    op.execute("DROP FUNCTION ensure_month_partition(text, date)")
    op.execute("DROP FUNCTION trail_is_append_only()")
