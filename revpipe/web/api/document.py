"""The API as a whole: its resources, and the OpenAPI document that tells of them."""

from functools import cache
from typing import Any, Final

from flask import Blueprint, Flask, Response, jsonify
from flask_smorest import Api

from revpipe.web.access import public
from revpipe.web.api import (
    actions,
    approvals,
    audit,
    blueprint,
    dead_letters,
    plans,
    queues,
    rules,
    signals,
    simulations,
)
from revpipe.web.api.problem_schema import Problem

RESOURCES: Final = (
    signals.blueprint,
    plans.blueprint,
    actions.blueprint,
    approvals.blueprint,
    dead_letters.blueprint,
    rules.blueprint,
    rules.versions,
    simulations.blueprint,
    queues.blueprint,
    audit.blueprint,
)
VERSION: Final = "1.0"
WORDS: Final = """\
Everything that revpipe did and why, and a person's word on what it is about to do.

Lists come in pages: ask with `limit`, and go on with `after` set to the `next` of the page before. Errors are problem
documents (RFC 9457). See docs/api.md for examples."""

document = Blueprint("api-document", __name__, url_prefix="/api/v1")


class RevpipeApi(Api):  # type: ignore[misc]
    """Errors of the whole app leave by one way already, so none are handled here."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave them as they are."""


@document.get("/openapi.json")
@public("It describes the API and holds nothing of anybody.")
def openapi() -> Response:
    """The API as OpenAPI 3.1."""
    return jsonify(told())


def install(app: Flask) -> None:
    """Answer under /api/v1."""
    for resource in RESOURCES:
        app.register_blueprint(resource)
    app.register_blueprint(document)


@cache
def told() -> dict[str, Any]:
    """What the document holds. It takes most of what making an app does, and most processes are never asked for it.

    So it is made when it is first asked for, from routes in an app of its own: they are the same in every app.
    """
    api = RevpipeApi(
        Flask(__name__, static_folder=None),
        spec_kwargs={
            "title": "revpipe",
            "version": VERSION,
            "openapi_version": "3.1.0",
            "info": {"description": WORDS},
            "security": [{"token": []}],
        },
    )
    api.spec.components.schema("Problem", schema=Problem)
    blueprint.describe(api.spec)
    for resource in RESOURCES:
        api.register_blueprint(resource)
    found: dict[str, Any] = api.spec.to_dict()
    return found
