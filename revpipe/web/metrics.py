"""`/metrics` for Prometheus: the balance as the keeper computed it last, what waits, and circuits. No customer data."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from config.queues import QUEUES
from revpipe import balance, in_flight, keeper, leases, queue_states
from revpipe.circuits import CLOSED
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.models.signal import DISPOSITIONS
from revpipe.ports import CircuitState
from revpipe.queue_states import QueueState
from revpipe.web.access import public
from revpipe.web.current import services

blueprint = Blueprint("metrics", __name__)

TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@blueprint.get("/metrics")
@public("numbers only, for Prometheus")
def metrics() -> Response:
    """A few rows and index steps as Prometheus text, whatever the ledger's size; 503 while the database is away.

    While Redis is away the circuits are left out, after a second or two of trying.
    """
    now = services().clock.now()
    try:
        with transaction(services().engine) as tx:
            found = balance.last(tx)
            duty = leases.state(tx, keeper.DUTY)
            queues = queue_states.read(tx, now, whole=False)
    except SQLAlchemyError as error:
        return Response(f"the database does not answer: {type(error).__name__}\n", 503, mimetype="text/plain")
    age = (now - duty["round_at"]).total_seconds() if duty else None
    registry = CollectorRegistry()
    registry.register(Shown(found, age, queues, _circuits()))
    return Response(generate_latest(registry), content_type=TYPE)


def _circuits() -> Mapping[str, CircuitState] | None:
    """What the workers saw of the vendors; None if that can't be asked for."""
    circuits = services().circuits
    try:
        return None if circuits is None else circuits.states()
    except Transient:
        return None


class Shown(Collector):
    """A stored balance (`Balance.as_dict`), the age in seconds of the keeper's last round, queues and circuits."""

    def __init__(
        self,
        found: Mapping[str, Any] | None,
        keeper_age: float | None,
        queues: Sequence[QueueState] = (),
        circuits: Mapping[str, CircuitState] | None = None,
    ) -> None:
        self._found = found
        self._keeper_age = keeper_age
        self._queues = queues
        self._circuits = circuits

    def collect(self) -> Iterator[Metric]:
        """The metrics; without a balance or a keeper yet, those that are known."""
        if self._keeper_age is not None:
            yield GaugeMetricFamily(
                "revpipe_keeper_round_age_seconds", "Time since the keeper's last round.", value=self._keeper_age
            )
        if self._found is not None:
            yield from self._balance(self._found)
        yield from self._waiting()
        if self._circuits is not None:
            yield from self._open(self._circuits)

    def _waiting(self) -> Iterator[Metric]:
        labels = ["queue", "priority"]
        ages = GaugeMetricFamily(
            "revpipe_queue_oldest_seconds", "How long the oldest unclaimed row has been due.", labels=labels
        )
        counts = GaugeMetricFamily(
            "revpipe_queue_waiting", f"Rows that are due now, counted up to {queue_states.MOST}.", labels=labels
        )
        for one in self._queues:
            ages.add_metric([one.queue, one.priority], one.oldest_s or 0.0)
            counts.add_metric([one.queue, one.priority], one.due)
        yield from (ages, counts)

    def _open(self, circuits: Mapping[str, CircuitState]) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "revpipe_circuit_open", "1 while calls of this kind wait for the vendor.", labels=["vendor", "kind"]
        )
        for name, one in circuits.items():
            vendor, _, kind = name.partition(":")
            family.add_metric([vendor, kind], 0 if one.state == CLOSED else 1)
        yield family

    def _balance(self, found: Mapping[str, Any]) -> Iterator[Metric]:
        yield CounterMetricFamily("revpipe_signals_accepted", "Signals accepted.", value=found["accepted"])
        # No counter in Prometheus' sense: a replay takes a disposition back.
        counts = {name: found["dispositions"].get(name, 0) for name in DISPOSITIONS}
        yield _gauge("revpipe_signals_total", "Signals that have ended, by disposition.", "disposition", counts)
        classes = {name: found["open"].get(name, 0) for name in in_flight.CLASSES}
        yield _gauge("revpipe_signals_open", "Signals in flight, by what they wait for.", "class", classes)
        yield GaugeMetricFamily(
            "revpipe_balance_difference", "Signals by which the hours do not add up.", value=found["difference"]
        )
        yield GaugeMetricFamily("revpipe_dead_letters_open", "Open dead letters.", value=found["dead_letters_open"])
        due = {
            name: found["queues_due"].get(name, 0) for name in (*QUEUES, *sorted({*found["queues_due"]} - {*QUEUES}))
        }
        yield _gauge("revpipe_queue_due", "Rows that are due and wait for room in their queue.", "queue", due)


def _gauge(name: str, words: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
