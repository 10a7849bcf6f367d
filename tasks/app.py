"""The Celery app: everything about delivery that is not a task."""

from datetime import UTC, datetime
from typing import Any, Final

from celery import Celery, current_task
from celery.signals import before_task_publish

from config.queues import QUEUES
from config.schedule import BEAT
from config.settings import Settings
from tasks.brokers import amqp, redis
from tasks.brokers.port import SENT
from tasks.brokers.redis_channel import REDIS, LeanTransport

HEADER: Final = "revpipe_cid"
"""The message header that carries the correlation id."""
BEGAN: Final = "revpipe_began"
"""On a running task's request: when it began, in seconds since 1970."""
TASK_MODULES: Final = (
    "tasks.enrich",
    "tasks.decide",
    "tasks.decide_llm",
    "tasks.execute",
    "tasks.recheck",
    "tasks.act",
    "tasks.notify",
    "tasks.maintenance",
)


class App(Celery):  # type: ignore[misc]
    """Celery, publishing over the lean transport where the broker speaks Redis."""

    giving_way: Any = None
    """What is asked before work that can wait, in a worker that lets urgent work go first."""

    def connection_for_write(self, *args: Any, **options: Any) -> Any:
        """A connection to publish on; the pool clones it."""
        connection = super().connection_for_write(*args, **options)
        if connection.transport_cls in REDIS:
            connection.transport_cls = LeanTransport
        return connection


def make_app(settings: Settings, *, socket_timeout: float = 10.0, publishers: int = 1) -> Celery:
    """A Celery app on the broker of `settings`. Connects to nothing yet.

    `publishers` is how many connections are kept to publish on; small plans count them.

    `socket_timeout` bounds every wait for the broker: short for those who publish, for a worker longer than
    the second that its blocking read lasts. Why each value is what it is stands in
    docs/decisions/004.
    """
    app = App("revpipe", broker=settings.broker, backend=None)
    broker = amqp if settings.is_amqp else redis
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_create_missing_queues=False,
        task_default_queue="maintenance",
        task_queues=[broker.work_queue(name) for name in QUEUES],
        worker_consumer="tasks.consumer:ParkingConsumer",
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=15.0,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=publishers,
        broker_pool_acquire_timeout=2.0,
        task_publish_retry=False,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2},
        imports=TASK_MODULES,
        beat_schedule=BEAT,
        timezone="UTC",
        enable_utc=True,
    )
    app.conf.update(broker.options(settings, socket_timeout))
    return app


@before_task_publish.connect(weak=False)
def stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Give every message its time of sending, and the correlation id of the task that sends it.

    Celery hands the headers of a chain to its first link only; here each further link inherits them. Its time is
    that of the task's beginning: the rows say when the stage was written, which comes after that and before now,
    and of a message that waits none may seem to have been passed.
    """
    if headers is None:
        return
    if SENT not in headers:
        headers[SENT] = getattr(current_task.request, BEGAN, None) if current_task else None
        headers[SENT] = headers[SENT] or datetime.now(UTC).timestamp()
    if HEADER not in headers and current_task:
        inherited = correlation_of(current_task.request)
        if inherited:
            headers[HEADER] = inherited


def correlation_of(request: Any) -> str | None:
    """The correlation id that a running task's message carried."""
    value = (request.headers or {}).get(HEADER) if request is not None else None
    return str(value) if value else None
