"""`POST /webhooks/<source>`: each authenticated by its vendor's scheme over the raw bytes."""

from flask import Blueprint, Response, abort, jsonify, request

from revpipe.ports import InboundRequest
from revpipe.web.access import public
from revpipe.web.current import intake, services

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@blueprint.post("/<source>")
@public("each source is authenticated by its vendor's scheme")
def receive(source: str) -> tuple[Response, int]:
    """Take a webhook in and answer 202 with what became of it.

    404 unknown source, 401 not authentic, 413 over 1 MB, 503 no secret configured or no database.
    """
    found = services().sources.get(source)
    if found is None:
        abort(404, f"No source is named so; there are: {', '.join(sorted(services().sources))}.")
    inbound = InboundRequest(
        method=request.method,
        target=_target(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=raw_body(),
        received_at=services().clock.now(),
    )
    receipt = intake().receive(found, inbound)
    answer = jsonify(
        delivery_id=str(receipt.delivery_id),
        accepted=receipt.accepted,
        duplicates=receipt.duplicates,
        rejected=receipt.rejected,
    )
    return answer, 202


def raw_body() -> bytes:
    """The raw body. One that is chunked is cut off at the limit without a word, so what follows is looked for here."""
    body = request.get_data(cache=False)
    limit = request.max_content_length
    cut_off = request.content_length is None and limit is not None and len(body) >= limit
    if cut_off and request.environ["wsgi.input"].read(1):
        abort(413)
    return body


def _target() -> str:
    """Path and query exactly as sent: signatures cover the bytes, not what a parser makes of them."""
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI")
    if raw:
        return str(raw)
    return request.full_path if request.query_string else request.path
