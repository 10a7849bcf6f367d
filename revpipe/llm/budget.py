"""The day's budget: a question's most is set aside in the ledger before it is asked, and put right afterwards.

So workers can't overspend together, however many they are: whoever finds too little left does not ask.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from revpipe.db import sql
from revpipe.language_model import Prompt
from revpipe.llm.policy import Budget, Price

LEAST_CHARS_PER_TOKEN = 2
"""English has about four; what has fewer than two is no text that anybody writes into a CRM."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens and their price in US dollars."""

    tokens: int
    usd: float


def most(prompt: Prompt, price: Price) -> Cost:
    """What a question may cost at the most, by a wide margin on its length."""
    length = len(prompt.system) + len(prompt.user) + len(str(prompt.schema))
    read = length // LEAST_CHARS_PER_TOKEN + 1
    return Cost(read + prompt.max_tokens, price.of(read, 0, prompt.max_tokens))


def reserve(tx: Connection, cost: Cost, budget: Budget, now: datetime) -> bool:
    """Set `cost` aside for today; False, and nothing is, if that would exceed the budget."""
    if cost.tokens > budget.tokens or cost.usd > budget.usd:
        return False
    found = tx.execute(
        sql(
            "INSERT INTO llm_days AS d (day, tokens, usd) VALUES (:day, :tokens, :usd)"
            " ON CONFLICT (day) DO UPDATE SET tokens = d.tokens + excluded.tokens, usd = d.usd + excluded.usd"
            " WHERE d.tokens + excluded.tokens <= :most_tokens AND d.usd + excluded.usd <= :most_usd RETURNING day"
        ),
        {
            "day": now.date(),
            "tokens": cost.tokens,
            "usd": cost.usd,
            "most_tokens": budget.tokens,
            "most_usd": budget.usd,
        },
    )
    return found.first() is not None


def settle(tx: Connection, day: date, reserved: Cost, spent: Cost) -> None:
    """Put what it came to in the place of what was set aside on `day`."""
    tx.execute(
        sql(
            "UPDATE llm_days SET tokens = greatest(0, tokens + :tokens), usd = greatest(0, usd + :usd) WHERE day = :day"
        ),
        {"day": day, "tokens": spent.tokens - reserved.tokens, "usd": spent.usd - reserved.usd},
    )


def used(tx: Connection, day: date) -> Cost:
    """What is spent or set aside of a day's budget."""
    row = tx.execute(sql("SELECT tokens, usd FROM llm_days WHERE day = :day"), {"day": day}).first()
    return Cost(row.tokens, row.usd) if row else Cost(0, 0.0)
