"""Far sides of the core's ports for tests, written by hand, and short words for what tests do to the ledger."""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, TypeVar

from sqlalchemy import text

from config.queues import QUEUES
from revpipe import act, arrivals, decide, enrich, execute, feed, ingest, recheck
from revpipe.actors import Actor
from revpipe.db import transaction
from revpipe.errors import BadPayload, RevpipeError
from revpipe.keeper import QUEUES_DUE
from revpipe.ports import Accepted, Delivery, Effect, InboundRequest, Order, Part, Parts, Refused
from revpipe.services import Services
from revpipe.signals import Signal, stable_id
from revpipe.work import Chunk
from tests.broker_control import control

T = TypeVar("T")
STAGES: dict[str, Callable[[Chunk, Services], object]] = {
    "enrich": enrich.run,
    "decide": decide.run,
    "execute": execute.run,
}
OPEN_DEAL: Mapping[str, Any] = {"is_closed": False, "name": "Hooli, 40 seats", "stage": "contractsent"}


class MovableClock:
    """Stands still until it is moved. It starts at the real time, which the broker's messages carry."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        return self._now

    def move(self, **by: float) -> datetime:
        self._now += timedelta(**by)
        return self._now


class FakeSource:
    """A vendor whose webhook is a JSON list: each item an event, or {"bad": code} for one that can't be read."""

    name = "fake"

    def verify(self, request: InboundRequest) -> None:
        """Everything is authentic here."""

    def normalise(self, delivery: Delivery) -> Iterable[Accepted | Refused]:
        try:
            items = json.loads(delivery.request.body)
        except ValueError as error:
            raise BadPayload("not_json", "the body is not JSON") from error
        return [self._one(item, delivery) for item in items]

    def _one(self, item: dict[str, Any], delivery: Delivery) -> Accepted | Refused:
        if "bad" in item:
            return Refused(item["bad"], "mend it at the sender", json.dumps(item).encode())
        at = delivery.request.received_at
        event = item.get("event", "call.completed")
        made = Signal(
            signal_id=signal_id(item["id"]),
            signal_type="call_complete" if event == "call.completed" else "crm_event",
            event=event,
            source=self.name,
            payload=item.get("payload", {"competitors": ["Initech"], "call_id": item["id"]}),
            urgency=item.get("urgency", "standard"),
            confidence=0.9,
            fired_at=at - timedelta(seconds=item.get("age_s", 1)),
            received_at=at,
            delivery_id=delivery.delivery_id,
            correlation_id=delivery.correlation_id,
            deal_id=item.get("deal"),
            account_id=item.get("account"),
            contact_id=item.get("contact"),
        )
        return Accepted(made, item.get("suppressed"))


class FakeProvider:
    """A CRM that knows an open deal for every signal, unless `script` gives another answer for one."""

    name = "crm"
    parts: tuple[str, ...] = ("deal", "change", "account", "contact")

    def __init__(self, clock: MovableClock, deal: Mapping[str, Any] = OPEN_DEAL) -> None:
        self.calls: list[list[uuid.UUID]] = []
        self.wanted: list[frozenset[str]] = []
        self.script: dict[uuid.UUID, Exception | Parts] = {}
        self.down: Exception | None = None
        self.deal = deal
        self._clock = clock

    def fetch(
        self, signals: Sequence[Signal], wanted: Mapping[uuid.UUID, frozenset[str]]
    ) -> Mapping[uuid.UUID, Parts | RevpipeError]:
        self.calls.append([signal.signal_id for signal in signals])
        self.wanted += [wanted[signal.signal_id] for signal in signals]
        if self.down:
            raise self.down
        return {signal.signal_id: self._answer(signal, wanted[signal.signal_id]) for signal in signals}

    def _answer(self, signal: Signal, wanted: frozenset[str]) -> Parts | RevpipeError:
        scripted = self.script.get(signal.signal_id)
        if isinstance(scripted, RevpipeError):
            return scripted
        if isinstance(scripted, Exception):
            raise scripted
        if scripted is not None:
            return scripted
        return {name: self._part(name, signal) for name in wanted}

    def _part(self, name: str, signal: Signal) -> Part:
        if name == "deal" and signal.deal_id:
            return Part(name, self.name, self._clock.now(), {**self.deal, "id": signal.deal_id})
        return Part(name, self.name, self._clock.now(), None, missing="no_association")


class FakeAdapter:
    """A vendor that does whatever it is told, unless `script` has something else for an order."""

    def __init__(self, name: str, types: tuple[str, ...], batch: int = 1, settle: float = 0.0) -> None:
        self.name, self.types, self.batch = name, types, batch
        self.settle = timedelta(seconds=settle)
        self.log: list[tuple[str, uuid.UUID]] = []
        self.batches: list[int] = []
        self.script: Callable[[Order], Effect | Exception] | None = None
        self.answer_to_find: Effect | RevpipeError | None = None

    def check(self, type: str, params: Mapping[str, Any]) -> None:
        """Any params will do."""

    def perform(self, orders: Sequence[Order]) -> Mapping[uuid.UUID, Effect | RevpipeError]:
        self.batches.append(len(orders))
        answers: dict[uuid.UUID, Effect | RevpipeError] = {}
        for order in orders:
            self.log.append(("perform", order.action_id))
            answer = self.script(order) if self.script else Effect(external_id=f"x-{order.key}")
            if not isinstance(answer, Effect | RevpipeError):
                raise answer
            answers[order.action_id] = answer
        return answers

    def find(self, order: Order) -> Effect | None:
        self.log.append(("find", order.action_id))
        if isinstance(self.answer_to_find, RevpipeError):
            raise self.answer_to_find
        return self.answer_to_find

    def count(self, what: str) -> int:
        return sum(one == what for one, _ in self.log)


def signal_id(name: str) -> uuid.UUID:
    return stable_id("fake", name)


def call(name: str, deal: str = "d1", **more: Any) -> dict[str, Any]:
    """A call on which a competitor was named: the shipped rules want a task and an alert for it."""
    return {"id": name, "deal": deal, **more}


def request_of(services: Services, body: bytes) -> InboundRequest:
    return InboundRequest("POST", "/webhooks/fake?a=1", {"user-agent": "fake/1"}, body, services.clock.now())


def put(services: Services, *events: Mapping[str, Any]) -> arrivals.Receipt:
    """Send the events in one webhook."""
    return ingest.receive(FakeSource(), request_of(services, json.dumps(events).encode()), services)


def rows(services: Services, sql: str, **values: Any) -> list[dict[str, Any]]:
    """What a query finds; a statement without rows gives none."""
    with transaction(services.engine) as tx:
        found = tx.execute(text(sql), values)
        return [dict(row) for row in found.mappings()] if found.returns_rows else []


def one(services: Services, sql: str, **values: Any) -> dict[str, Any]:
    (row,) = rows(services, sql, **values)
    return row


def signal_row(services: Services, name: str) -> dict[str, Any]:
    return one(services, "SELECT * FROM signals WHERE signal_id = :id", id=signal_id(name))


def trail_of(services: Services, name: str) -> list[str]:
    """What happened to a signal, in order."""
    found = rows(services, "SELECT what FROM trail WHERE signal_id = :id ORDER BY trail_id", id=signal_id(name))
    return [row["what"] for row in found]


def sent(services: Services, table: str, where: str) -> list[Chunk]:
    """The chunks that are on their way, as the messages in the queues name them."""
    key = f"{table.removesuffix('s')}_id"
    found = rows(
        services,
        f"SELECT {key} AS id, send_no, queue FROM {table} WHERE queue IS NOT NULL AND sent_at IS NOT NULL"
        f" AND claim_id IS NULL AND {where} ORDER BY queue, send_no, {key}",
    )
    groups: dict[tuple[str, int], list[uuid.UUID]] = {}
    for row in found:
        groups.setdefault((row["queue"], row["send_no"]), []).append(row["id"])
    return [Chunk(tuple(ids), send_no) for (_, send_no), ids in groups.items()]


def take_messages(services: Services, task: str) -> None:
    """Empty the queues of a task, as its workers do."""
    broker = control(str(services.settings.broker))
    broker.empty(*(queue.name for queue in QUEUES.values() if queue.task == task))
    broker.close()


def run_stage(services: Services, stage: str) -> list[Chunk]:
    """Take every chunk that was sent to `stage` through it, and return them."""
    chunks = sent(services, "signals", f"stage = '{stage}'")
    take_messages(services, stage)
    for chunk in chunks:
        STAGES[stage](chunk, services)
    return chunks


def run_to(services: Services, last: str) -> list[Chunk]:
    """Run the stages one after the other up to `last`; returns the chunks of that one."""
    chunks: list[Chunk] = []
    for stage in ("enrich", "decide", "execute"):
        chunks = run_stage(services, stage)
        if stage == last:
            break
    return chunks


def offer_due(services: Services, queues: Iterable[str] = QUEUES) -> int:
    """Send what is due in any queue, as the keeper does; returns how many rows left."""
    with transaction(services.engine) as tx:
        due = tx.execute(text(QUEUES_DUE), {"queues": list(queues), "now": services.clock.now()}).scalars().all()
    return feed.offer(services, due)


def person(name: str) -> Actor:
    """Somebody at the terminal."""
    return Actor(name, "cli")


def run_recheck(services: Services) -> list[Chunk]:
    """Look once more at the facts of every approved action that was sent for it."""
    chunks = sent(services, "actions", "queue LIKE 'recheck.%'")
    take_messages(services, "recheck")
    for chunk in chunks:
        recheck.run(chunk, services)
    return chunks


def run_act(services: Services) -> list[Chunk]:
    """Carry out every action chunk that was sent; what was approved has its facts looked at before."""
    run_recheck(services)
    chunks = sent(services, "actions", "state IN ('ready', 'running') AND queue LIKE 'execute.%'")
    take_messages(services, "act")
    for chunk in chunks:
        act.run(chunk, services)
    return chunks


def at_once(count: int, do: Callable[[int], T]) -> list[T]:
    """Run `do(0)` … `do(count - 1)` in threads that start together; raises what any of them raised."""
    gate = Barrier(count)

    def wait_and_do(number: int) -> T:
        gate.wait(timeout=30)
        return do(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_do, range(count)))
