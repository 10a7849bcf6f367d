"""What the core expects of the outside: vendors, the queue, the gate and the clock, as Protocols."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from revpipe.errors import RevpipeError
from revpipe.signals import Signal


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """A webhook as it reached us, before anything was parsed.

    `target` is path and query exactly as sent (`/webhooks/hubspot?x=1`); header names are lower case;
    `body` is the raw bytes.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """An authentic request that has been given its ids."""

    delivery_id: uuid.UUID
    correlation_id: uuid.UUID
    source: str
    request: InboundRequest


@dataclass(frozen=True, slots=True)
class Accepted:
    """One event that became a signal; `suppressed` names why it must not be acted on (own_write …)."""

    signal: Signal
    suppressed: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that can't become a signal: it becomes a dead letter of stage `ingest`.

    `reason` is a stable code, `detail` says what to do, `fragment` is the event's own JSON text.
    """

    reason: str
    detail: str
    fragment: bytes


class Source(Protocol):
    """Turns one vendor's webhooks into signals."""

    name: str

    def verify(self, request: InboundRequest) -> None:
        """Raise Unauthorised unless the request is authentic, SourceNotConfigured if no secret is set."""

    def normalise(self, delivery: Delivery) -> Iterable[Accepted | Refused]:
        """The events of a delivery, in order. Raises BadPayload if the body as a whole can't be read."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A piece of a file that goes in as one delivery. It can be read by itself; `rows` leaves out its heading."""

    body: bytes
    rows: int


@runtime_checkable
class FileSource(Source, Protocol):
    """Turns one vendor's files into signals, a batch at a time."""

    only_counted: frozenset[str]
    """Reasons for suppressing a row that files have by the thousand: such rows are counted and make no signal."""

    def target(self, options: Mapping[str, str]) -> str:
        """The target of each of a file's deliveries, which keeps what its rows don't say. Raises BadPayload."""

    def batches(self, pieces: Iterable[bytes], target: str) -> Iterator[Batch]:
        """The file cut up for `normalise`, never whole in memory. Raises BadPayload where it can't be read on."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of context and where it is from.

    `value` is None when there is nothing to know; `missing` then says why (`not_found`, `no_association` …).
    `complete` is False when the provider could not be asked to the end. `error` then says what kept it from that, so
    that a signal which requires the part can wait for it; it lives as long as the fetch and is never stored.
    """

    name: str
    provider: str
    fetched_at: datetime
    value: Mapping[str, Any] | None
    complete: bool = True
    missing: str | None = None
    error: RevpipeError | None = field(default=None, compare=False)


Parts = Mapping[str, Part]


class Provider(Protocol):
    """Adds context to signals, for a whole chunk in as few calls as the vendor allows."""

    name: str
    parts: tuple[str, ...]

    def fetch(
        self, signals: Sequence[Signal], wanted: Mapping[uuid.UUID, frozenset[str]]
    ) -> Mapping[uuid.UUID, Parts | RevpipeError]:
        """For each signal the parts wanted of it, or the error that kept them from being known.

        One signal's trouble is its own entry, one part's trouble is that part's `error`; an error raised stands for
        the whole chunk.
        """


@dataclass(frozen=True, slots=True)
class Order:
    """One action to carry out. `params` is what the rule rendered; `key` is unique to the action for ever.

    `attempt` counts from 1; `first_tried_at` is when the vendor may first have been called, `tried_at` when last
    before this try: the later of the call's begin and, as far as it was seen, its end.
    """

    action_id: uuid.UUID
    type: str
    params: Mapping[str, Any]
    correlation_id: uuid.UUID
    deal_id: str | None
    account_id: str | None
    contact_id: str | None
    attempt: int
    created_at: datetime
    first_tried_at: datetime | None = None
    tried_at: datetime | None = None

    @property
    def key(self) -> str:
        """The marker by which the effect can be recognised at the vendor."""
        return self.action_id.hex


@dataclass(frozen=True, slots=True)
class Effect:
    """What the vendor did: its id and page for it, and further facts (ids, codes and numbers)."""

    external_id: str | None = None
    url: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


class ActionAdapter(Protocol):
    """Carries out some types of action at one outside system."""

    name: str
    types: tuple[str, ...]
    batch: int
    """How many orders one call may carry."""
    settle: timedelta
    """How long after a call its effect may still be invisible."""

    def check(self, type: str, params: Mapping[str, Any]) -> None:
        """Raise Permanent, saying what to change, if a rule's params can't be carried out."""

    def perform(self, orders: Sequence[Order]) -> Mapping[uuid.UUID, Effect | RevpipeError]:
        """Carry out at most `batch` orders; each has its own outcome."""

    def find(self, order: Order) -> Effect | None:
        """The effect of an earlier try, None if there surely is none. Raises EffectUnknown if unsure."""


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that no worker can run, as a worker or the broker put it aside.

    `key` is the same for the same message, however often it is put aside; `body` is what it carried, untouched;
    `headers` and `properties` are the broker's. `receipt` is what the broker needs to forget it, and nobody else's.
    """

    key: str
    queue: str
    reason: str
    error: str
    body: bytes
    parked_at: datetime
    traceback: str | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 1
    worker: str | None = None
    receipt: Any = None


class Dispatcher(Protocol):
    """The way to the queues. It only ever carries ids."""

    def room(self, queue: str) -> int:
        """How many more messages the queue should hold now; 0 if full or the broker can't be asked."""

    def turn(self, queue: str) -> bool:
        """Whether a chunk that is not full may leave for the queue now; if so, the next one may not for a moment.

        True if the broker can't be asked: a chunk that is too small costs time, one that never leaves a signal.
        """

    def gather(self, queue: str, rows: int) -> None:
        """Let that moment be the longer the more rows left in this turn: so many came since the last one."""

    def send(
        self,
        stage: str,
        queue: str,
        message: Mapping[str, Any],
        correlation_id: str,
        sent_at: datetime,
    ) -> None:
        """Start a chain for a chunk at `stage`. Raises Transient when the broker did not take it in time.

        `message` is the chunk's, of ids and numbers. `sent_at` is what the rows say: `oldest` compares with it,
        however long the publishing took.
        """

    def oldest(self, queue: str) -> datetime | None:
        """When the message at the head of the queue was sent, None if the queue is empty.

        Raises Transient when the broker can't be asked.
        """

    def epoch(self) -> str | None:
        """The mark of the broker's present life, None once it lost what it held. Raises Transient."""

    def begin_epoch(self) -> str:
        """Mark the broker's present life anew. Raises Transient."""

    def take_dead(self, limit: int) -> Sequence[DeadMessage]:
        """At most `limit` messages that were put aside, the oldest of each queue first; they stay until forgotten.

        Raises Transient when the broker can't be asked.
        """

    def forget_dead(self, messages: Sequence[DeadMessage]) -> None:
        """Remove messages that are in the ledger now. Raises Transient; they then come again."""

    def close(self) -> None:
        """Give all connections up; the next call opens them again."""


class Gate(Protocol):
    """What every call to a vendor passes: circuit and rate tokens before, the outcome after, in the same thread."""

    def spend(self, vendor: str, kind: str) -> None:
        """Take one rate token. Raises CircuitOpen while the vendor is given a rest, RateLimited without a token."""

    def report(self, vendor: str, kind: str, error: RevpipeError | None) -> None:
        """Tell how the call ended. Where that leaves the circuit open, `error.circuit` is set to its name."""


@dataclass(frozen=True, slots=True)
class CircuitState:
    """How one vendor does with one kind of call, as all workers together saw it. Times are seconds."""

    name: str
    """`vendor:kind`, as it stands in a row's `waits_for`."""
    state: str
    """`closed`, `open`, or `half_open`: the rest is over, and the next call decides."""
    failures: int
    """Failures in a row; none of them is older than a minute while it is closed."""
    code: str | None = None
    """The error that opened it, or failed last."""
    since_s: float | None = None
    """How long it has been open."""
    again_in_s: float | None = None
    """How long nobody may call yet: the rest of the open period, or of the probe that is under way."""


class Circuits(Protocol):
    """The keeper's look at the circuits."""

    def states(self) -> Mapping[str, CircuitState]:
        """All circuits with something to tell; one that is missing is closed. Raises Transient if unanswered."""

    def invite(self, name: str) -> bool:
        """Whether one row should be sent out as the probe now; True goes to one caller in a few seconds."""


class Clock(Protocol):
    """The time, so that tests can move it."""

    def now(self) -> datetime:
        """Aware UTC."""
