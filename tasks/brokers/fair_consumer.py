"""The part of a worker that takes messages, with two of Celery's habits round quorum queues left off."""

from typing import Any, ClassVar

from celery.worker.consumer import Consumer

DELAYS = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class FairConsumer(Consumer):  # type: ignore[misc]
    """Takes from RabbitMQ about as many messages ahead as the worker has threads; from Redis as Celery does.

    A quorum queue counts what a worker has taken for each queue alone. With Celery's number a worker of 24 queues
    would hold 24 times as many messages as it can work on, bulk ones before urgent ones.
    """

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """Celery's steps but for its delayed delivery, 28 queues for `eta` and `countdown`, which we never use."""

        default_steps: ClassVar = [step for step in Consumer.Blueprint.default_steps if step != DELAYS]

    def __init__(self, *args: Any, initial_prefetch_count: int = 2, **options: Any) -> None:
        super().__init__(*args, initial_prefetch_count=initial_prefetch_count, **options)
        if self.app.connection_for_read().transport.driver_type == "amqp":
            self.initial_prefetch_count = ahead(initial_prefetch_count, len(self.app.amqp.queues.consume_from))


def ahead(threads: int, queues: int) -> int:
    """How many messages a worker takes from each of its queues, those in work included."""
    return -(-threads // max(1, queues))
