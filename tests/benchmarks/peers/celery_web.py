"""The hand-written receiver: verify, publish one chain for each event, answer. It stores nothing."""

import os

from flask import Flask, Response, request

from tests.benchmarks.peers import celery_tasks, signature

app = Flask("peer")


@app.post("/webhooks/hubspot")
def hubspot() -> Response:
    """One webhook of one or more events."""
    body = request.get_data()
    stamp = request.headers.get("X-HubSpot-Request-Timestamp", "")
    given = request.headers.get("X-HubSpot-Signature-v3", "")
    url = os.environ["PUBLIC_URL"] + request.path
    if not signature.holds(os.environ["HUBSPOT_CLIENT_SECRET"], url, body, stamp, given):
        return Response(status=401)
    for event in request.get_json(force=True):
        celery_tasks.start(event["objectId"])
    return Response(status=202)
