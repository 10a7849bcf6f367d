"""The hand-written pipeline's tasks: read the CRM, apply the rule, have the effect. No ledger, no dedupe, no trail.

The worker is `celery -A tests.benchmarks.peers.celery_tasks worker`, with prefork 4, late acknowledgement and
prefetch 1. Everything that costs time and that such a pipeline does not need is off: results, events, heartbeats.
"""

import os
import sys
from typing import Any

import requests
from celery import Celery, chain
from celery.signals import worker_ready

from tests.benchmarks.peers import crm

app = Celery("peer", broker=os.environ.get("BROKER_URL"), backend=None)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="peer",
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
RETRIES: dict[str, Any] = {
    "autoretry_for": (requests.RequestException,),
    "retry_backoff": True,
    "max_retries": 5,
}


@app.task(name="read", **RETRIES)  # type: ignore[untyped-decorator]
def read(deal_id: int) -> dict[str, Any]:
    """The event's deal, from the CRM."""
    return {"deal_id": deal_id, "deal": crm.read_deal(deal_id)}


@app.task(name="decide", bind=True)  # type: ignore[untyped-decorator]
def decide(self: Any, found: dict[str, Any]) -> dict[str, Any] | None:
    """What is to be done; where nothing is, the chain ends here and costs no further message."""
    if crm.is_overdue(found["deal"]):
        return found
    self.request.chain = None
    return None


@app.task(name="act", **RETRIES)  # type: ignore[untyped-decorator]
def act(found: dict[str, Any]) -> None:
    """The effect."""
    crm.create_task(found["deal_id"], found["deal"])


def start(deal_id: int) -> None:
    """Publish one chain."""
    chain(read.s(deal_id), decide.s(), act.s())()


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _say_ready(**_: object) -> None:
    sys.stderr.write("peer ready\n")
    sys.stderr.flush()
