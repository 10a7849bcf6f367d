"""`POST /imports/<source>`: whole files, streamed, by whoever holds a token of ours."""

from collections.abc import Iterator
from typing import Final

import structlog
from flask import Blueprint, Response, abort, current_app, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from revpipe import counters, imports
from revpipe.errors import Unauthorised
from revpipe.ports import FileSource, InboundRequest
from revpipe.web.access import public
from revpipe.web.current import services
from revpipe.web.errors import problem

log = structlog.get_logger(__name__)
blueprint = Blueprint("imports", __name__, url_prefix="/imports")

MOST_BYTES: Final = 200_000_000
"""Of a file as it is sent, packed or not."""
BLOCK: Final = 65_536
OPTIONS: Final = ("week", "file")


@blueprint.post("/<source>")
@public("whoever sends a file shows a token of IMPORT_TOKENS")
def receive(source: str) -> tuple[Response, int] | Response:
    """Take a file in and answer 202 with what became of its rows, once they all are in the ledger.

    400 it can't be read, 401 no token of ours, 404 unknown source, 413 too large, 415 a form, 503 no token
    configured or no database. After any error the same file may be sent again: no row is taken twice.
    """
    found = services().sources.get(source)
    if not isinstance(found, FileSource):
        names = sorted(name for name, one in services().sources.items() if isinstance(one, FileSource))
        abort(404, f"No source of files is named so; there are: {', '.join(names)}.")
    _verify(found)
    if request.mimetype in ("multipart/form-data", "application/x-www-form-urlencoded"):
        abort(415, "Send the file itself as the body (curl --data-binary @FILE -H 'Content-Type: text/csv'), no form.")
    most = request.max_content_length = current_app.config["MOST_FILE_BYTES"]
    options = {name: request.args[name][:200] for name in OPTIONS if name in request.args}
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        done = imports.take(found, _pieces(), services(), options, headers)
    except imports.FileRefused as error:
        log.warning("import_refused", source=source, reason=error.reason, **error.done.as_dict())
        status = 413 if error.reason == "file_too_large" else 400
        return problem(status, error.reason, f"{error.advice} (import {error.done.import_id})")
    except RequestEntityTooLarge:
        return problem(413, "file_too_large", f"A file may have {most:,} bytes; pack it, or send it in parts.")
    log.info("imported", source=source, **done.as_dict())
    return jsonify(done.as_dict()), 202


def _verify(source: FileSource) -> None:
    headers = {"authorization": request.headers.get("Authorization", "")}
    inbound = InboundRequest("POST", request.path, headers, b"", services().clock.now())
    try:
        source.verify(inbound)
    except Unauthorised:
        counters.add(services().engine, f"unauthorised:{source.name}", inbound.received_at)
        raise


def _pieces() -> Iterator[bytes]:
    while piece := request.stream.read(BLOCK):
        yield piece
