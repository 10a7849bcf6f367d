"""`/metrics`: the balance for Prometheus, as the keeper computed it last. Counts only, no customer data."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from config.queues import QUEUES
from revpipe import balance, in_flight, keeper, leases
from revpipe.db import transaction
from revpipe.models.signal import DISPOSITIONS
from revpipe.web.current import services

blueprint = Blueprint("metrics", __name__)

TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@blueprint.get("/metrics")
def metrics() -> Response:
    """Two rows of the ledger as Prometheus text, whatever the ledger's size; 503 while the database is away."""
    try:
        with transaction(services().engine) as tx:
            found = balance.last(tx)
            duty = leases.state(tx, keeper.DUTY)
    except SQLAlchemyError as error:
        return Response(f"the database does not answer: {type(error).__name__}\n", 503, mimetype="text/plain")
    now = services().clock.now()
    age = (now - duty["round_at"]).total_seconds() if duty else None
    registry = CollectorRegistry()
    registry.register(Shown(found, age))
    return Response(generate_latest(registry), content_type=TYPE)


class Shown(Collector):
    """A stored balance (`Balance.as_dict`) and the age in seconds of the keeper's last round, as metrics."""

    def __init__(self, found: Mapping[str, Any] | None, keeper_age: float | None) -> None:
        self._found = found
        self._keeper_age = keeper_age

    def collect(self) -> Iterator[Metric]:
        """The metrics; without a balance or a keeper yet, those that are known."""
        if self._keeper_age is not None:
            yield GaugeMetricFamily(
                "revpipe_keeper_round_age_seconds", "Time since the keeper's last round.", value=self._keeper_age
            )
        if self._found is not None:
            yield from self._balance(self._found)

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
