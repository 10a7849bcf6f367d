"""What rules in shadow would have done, and how long a rule wants its actions."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SHADOW_OUTCOMES = """
    CREATE TABLE shadow_outcomes (
        signal_id UUID NOT NULL,
        rule_id TEXT NOT NULL,
        schema_version SMALLINT NOT NULL,
        rules_version TEXT NOT NULL,
        subject TEXT NOT NULL,
        settles BOOLEAN NOT NULL,
        actions JSONB NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_shadow_outcomes PRIMARY KEY (signal_id, rule_id),
        CONSTRAINT fk_shadow_outcomes_signal_id_signals FOREIGN KEY(signal_id) REFERENCES signals (signal_id),
        CONSTRAINT fk_shadow_outcomes_rules_version_rule_versions FOREIGN KEY(rules_version)
            REFERENCES rule_versions (version)
    )
"""
INDEXES = (
    # The comparison goes rule by rule, back from now; a cooldown is looked up for the subject at hand.
    ("ix_shadow_outcomes_rule", "shadow_outcomes (rule_id, created_at)"),
    ("ix_shadow_outcomes_subject", "shadow_outcomes (subject, rule_id, created_at)"),
)


def upgrade() -> None:
    op.execute(SHADOW_OUTCOMES)
    for name, what in INDEXES:
        op.execute(f"CREATE INDEX {name} ON {what}")
    # Without a default it rewrites nothing; a row of the release before has none and is wanted as long as ever.
    op.execute("ALTER TABLE actions ADD COLUMN expires_s INTEGER")


def downgrade() -> None:
    op.execute("ALTER TABLE actions DROP COLUMN expires_s")
    op.execute("DROP TABLE shadow_outcomes")
