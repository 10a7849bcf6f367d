"""`/healthz`: this process answers. `/readyz`: the database, the broker and the keeper do their part."""

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from revpipe import keeper, leases, migrate
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.web.access import public
from revpipe.web.current import services

blueprint = Blueprint("health", __name__)

KEEPER_SECONDS = 30


@blueprint.get("/healthz")
@public("a platform looks whether the process lives")
def healthz() -> Response:
    """200 as long as the process answers at all."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@public("a platform looks whether webhooks can come; states and one number")
def readyz() -> tuple[Response, int]:
    """200 if webhooks can be accepted, which needs the database only; what else ails is told beside it."""
    state: dict[str, object] = {"database": "ok", "broker": "ok", "keeper": "ok"}
    try:
        with transaction(services().engine) as tx:
            current = migrate.current(tx)
            duty = leases.state(tx, keeper.DUTY)
    except SQLAlchemyError as error:
        state["database"] = type(error).__name__
        return jsonify(status="unavailable", **state), 503
    if current != migrate.newest():
        state["database"] = "not migrated; run: revpipe migrate"
        return jsonify(status="unavailable", **state), 503
    age = (services().clock.now() - duty["round_at"]).total_seconds() if duty else None
    state["keeper_age_s"] = None if age is None else round(age, 1)
    if age is None or age > KEEPER_SECONDS:
        state["keeper"] = "no round lately; run: revpipe keeper"
    try:
        services().dispatcher.epoch()
    except Transient as error:
        state["broker"] = str(error)
    return jsonify(status="ok", **state), 200
