"""One signal from the raw request to the effect, as data for a page: each thing with its cause, its source and its age.

Everything that the causal page shows is in `Causal`; `revpipe.causes.of_signal` reads it. Times are aware UTC, lengths
are seconds. It holds customer data, so whoever shows it asks first who is looking.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawEvent:
    """The request as it came. `text` is the beginning of its body; None for a body that is no text."""

    delivery_id: uuid.UUID
    received_at: datetime
    source: str
    target: str
    headers: Mapping[str, Any]
    size: int
    text: str | None
    cut: bool
    accepted: int
    duplicates: int
    rejected: int


@dataclass(frozen=True, slots=True)
class PartOfContext:
    """What one provider added. `age_s`: how old it was when the signal was decided; None while it is not."""

    name: str
    provider: str
    fetched_at: datetime
    age_s: float | None
    complete: bool
    missing: str | None
    value: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class TermOfRule:
    """One part of a condition: true, false or not known (None), and the values that made it so."""

    expression: str
    held: bool | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RuleAsked:
    """What one rule said. `shortened`: some of its terms were left out of the record, which has a bounded size.

    `wanted` are the types of the actions that a rule in shadow would have wanted; a live one's are in the actions.
    """

    rule_id: str
    description: str
    mode: str
    listened: bool
    fired: bool
    terms: tuple[TermOfRule, ...]
    shortened: bool
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """The plan. `conclusive`: the rules left nothing open. `by` is rules, llm or fallback."""

    plan_id: uuid.UUID
    by: str
    at: datetime
    rules_version: str
    conclusive: bool
    rules: tuple[RuleAsked, ...]


@dataclass(frozen=True, slots=True)
class ModelAsked:
    """One call of a language model. `answer` is the JSON of our schema with people masked, if it came to that."""

    answer_id: uuid.UUID
    asked_at: datetime
    provider: str
    model: str
    template: str
    attempt: int
    outcome: str
    answer: Mapping[str, Any] | None
    input_tokens: int
    output_tokens: int
    cost_usd: float
    latency_ms: int


@dataclass(frozen=True, slots=True)
class ModelsPart:
    """The second pass: what became of the question, the question's text if it can be made again, and each call.

    `told` is as the plan keeps it: who decided, outcome, model, reason. An answer that was used again has no call here.
    """

    told: Mapping[str, Any]
    question: str | None
    calls: tuple[ModelAsked, ...]


@dataclass(frozen=True, slots=True)
class VersionAsked:
    """What was to be approved: version 1 as planned, each further one as a person edited it."""

    version: int
    params: Mapping[str, Any]
    by: str
    way: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """The request for a person's word and what came of it. `row` is all that the ledger has of it."""

    approval_id: uuid.UUID
    state: str
    requested_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    way: str | None
    reason: str | None
    versions: tuple[VersionAsked, ...]
    row: Row


@dataclass(frozen=True, slots=True)
class ActionWanted:
    """One action. `url` leads to the record at the vendor, where the vendor gave one; `after_s` counts from firing.

    `suppressed_by` is the action that stood in its way; `twins` are those that it stands for, as another rule wanted
    the very same.
    """

    action_id: uuid.UUID
    type: str
    adapter: str
    rule_id: str
    priority: str
    state: str
    reason: str | None
    params: Mapping[str, Any]
    created_at: datetime
    done_at: datetime | None
    after_s: float | None
    attempts: int
    effect: Mapping[str, Any] | None
    external_id: str | None
    url: str | None
    suppressed_by: uuid.UUID | None
    twins: tuple[uuid.UUID, ...]
    approval: ApprovalAsked | None


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the trail; `offset_s` counts from receipt."""

    at: datetime
    offset_s: float
    what: str
    action_id: uuid.UUID | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Causal:
    """All of one signal. `signal` is its row, normalised; `former` are the records that replays put by.

    `deal_url` and `owner_id` are the deal's page and owner at the CRM, as the context has them.
    `survivor` is the signal that carries this one, `carried` those that this one carries.
    """

    signal_id: uuid.UUID
    correlation_id: uuid.UUID
    event: str
    subject: str
    change: str
    origin: str
    known: str
    ending: str
    deal_url: str | None
    owner_id: str | None
    signal: Row
    raw: RawEvent | None
    context_at: datetime | None
    context_complete: bool | None
    parts: tuple[PartOfContext, ...]
    decision: DecisionMade | None
    model: ModelsPart | None
    actions: tuple[ActionWanted, ...]
    trail: tuple[Step, ...]
    dead_letters: tuple[Row, ...]
    survivor: Row | None
    carried: tuple[Row, ...]
    former: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is not in a signal's story: its delivery, its model calls, versions of approvals, and words of rules."""

    raw: RawEvent | None = None
    calls: Sequence[ModelAsked] = ()
    question: str | None = None
    versions: Mapping[uuid.UUID, Sequence[VersionAsked]] | None = None
    """By approval."""
    descriptions: Mapping[str, str] | None = None
    """By rule."""
