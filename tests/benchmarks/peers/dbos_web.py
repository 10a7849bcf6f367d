"""The same pipeline as durable workflows of DBOS: the receiver commits a workflow's start, its process carries it out.

gunicorn runs `make_app()` in each of its processes; both work. Each step's result is in PostgreSQL before the next.
"""

import os
from typing import Any

from dbos import DBOS, DBOSConfig
from flask import Flask, Response, request

from tests.benchmarks.peers import crm, signature


@DBOS.step(retries_allowed=True, max_attempts=5)
def read(deal_id: int) -> dict[str, Any]:
    """The event's deal, from the CRM."""
    return crm.read_deal(deal_id)


@DBOS.step(retries_allowed=True, max_attempts=5)
def act(deal_id: int, deal: dict[str, Any]) -> None:
    """The effect."""
    crm.create_task(deal_id, deal)


@DBOS.workflow()
def handle(deal_id: int) -> None:
    """One event: read, decide, act."""
    deal = read(deal_id)
    if crm.is_overdue(deal):
        act(deal_id, deal)


def make_app() -> Flask:
    """The receiver, with DBOS launched in this process."""
    threads = int(os.environ["PEER_THREADS"])
    config: DBOSConfig = {
        "name": "peer",
        "system_database_url": os.environ["PEER_DATABASE_URL"],
        "executor_id": f"peer-{os.getpid()}",
        "application_version": "1",
        "sys_db_pool_size": 20,
        "max_executor_threads": threads,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    app = Flask("peer")
    app.add_url_rule("/webhooks/hubspot", "hubspot", hubspot, methods=["POST"])
    return app


def hubspot() -> Response:
    """One webhook of one or more events."""
    body = request.get_data()
    stamp = request.headers.get("X-HubSpot-Request-Timestamp", "")
    given = request.headers.get("X-HubSpot-Signature-v3", "")
    url = os.environ["PUBLIC_URL"] + request.path
    if not signature.holds(os.environ["HUBSPOT_CLIENT_SECRET"], url, body, stamp, given):
        return Response(status=401)
    for event in request.get_json(force=True):
        DBOS.start_workflow(handle, event["objectId"])
    return Response(status=202)
