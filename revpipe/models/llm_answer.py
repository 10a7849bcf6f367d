"""What language models were asked and answered."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Double, Index, Integer, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from revpipe.db import Base


class LlmAnswer(Base):
    """One call. `question` is the hash of model, template and question; `attempt` 2 is the repair of an answer.

    `outcome` is `answered` or a code for what was wrong. An answer that is `kept` is used again for the same question;
    of those there is one. `answer` is the JSON of our schema, if it came to that; people in it are masked.
    """

    __tablename__ = "llm_answers"
    __table_args__ = (
        Index("uq_llm_answers_kept", "question", unique=True, postgresql_where=text("kept")),
        Index("ix_llm_answers_asked", "asked_at"),
        Index("ix_llm_answers_signal", "signal_id"),
    )

    answer_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    question: Mapped[str] = mapped_column(Text)
    signal_id: Mapped[uuid.UUID]
    provider: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    template: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(SmallInteger)
    outcome: Mapped[str] = mapped_column(Text)
    kept: Mapped[bool] = mapped_column(Boolean)
    answer: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None] = mapped_column(Text)
    input_tokens: Mapped[int] = mapped_column(Integer)
    cached_tokens: Mapped[int] = mapped_column(Integer)
    output_tokens: Mapped[int] = mapped_column(Integer)
    cost_usd: Mapped[float] = mapped_column(Double)
    latency_ms: Mapped[int] = mapped_column(Integer)
    asked_at: Mapped[datetime]
