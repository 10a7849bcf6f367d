"""The second pass: what language models were asked, answered and cost, and what they may cost in a day."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ANSWERS = """
    CREATE TABLE llm_answers (
        answer_id UUID NOT NULL,
        question TEXT NOT NULL,
        signal_id UUID NOT NULL,
        provider TEXT NOT NULL,
        model TEXT NOT NULL,
        template TEXT NOT NULL,
        attempt SMALLINT NOT NULL,
        outcome TEXT NOT NULL,
        kept BOOLEAN NOT NULL,
        answer JSONB,
        request_id TEXT,
        input_tokens INTEGER NOT NULL,
        cached_tokens INTEGER NOT NULL,
        output_tokens INTEGER NOT NULL,
        cost_usd DOUBLE PRECISION NOT NULL,
        latency_ms INTEGER NOT NULL,
        asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_llm_answers PRIMARY KEY (answer_id)
    )
"""
DAYS = """
    CREATE TABLE llm_days (
        day DATE NOT NULL,
        tokens BIGINT NOT NULL,
        usd DOUBLE PRECISION NOT NULL,
        CONSTRAINT pk_llm_days PRIMARY KEY (day)
    )
"""


def upgrade() -> None:
    op.execute(ANSWERS)
    op.execute("CREATE UNIQUE INDEX uq_llm_answers_kept ON llm_answers (question) WHERE kept")
    op.execute("CREATE INDEX ix_llm_answers_asked ON llm_answers (asked_at)")
    op.execute("CREATE INDEX ix_llm_answers_signal ON llm_answers (signal_id)")
    op.execute(DAYS)


def downgrade() -> None:
    op.execute("DROP TABLE llm_days")
    op.execute("DROP TABLE llm_answers")
