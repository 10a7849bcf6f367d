"""`POST /webhooks/slack/interactions`: what people press in Slack, answered within its three seconds."""

from flask import Blueprint, Response, abort, jsonify, request

from revpipe.errors import BadPayload, SourceNotConfigured
from revpipe.notifying import pressing
from revpipe.web.access import public
from revpipe.web.current import services
from revpipe.web.webhooks import raw_body

blueprint = Blueprint("slack", __name__, url_prefix="/webhooks/slack")


@blueprint.post("/interactions")
@public("Slack signs what it sends")
def interactions() -> Response:
    """Take a press or a form in: an empty 200, or a form's answer that says what is wrong with it.

    400 not as Slack sends it, 401 not authentic, 413 over 1 MB, 503 no secret configured or no database.
    """
    presses = services().presses
    if presses is None:
        raise SourceNotConfigured("this process reads no presses")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        press = presses.read(raw_body(), headers, services().clock.now())
    except BadPayload as error:
        abort(400, f"This is not as Slack sends it: {error.reason}.")
    answer = pressing.take(services(), press)
    return Response(status=200) if answer is None else jsonify(answer)
