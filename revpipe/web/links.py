"""`/a/<token>`: the page that a link in an e-mail leads to. It works without JavaScript and without a sign-in."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

from flask import Blueprint, Response, make_response, render_template, request

from revpipe.errors import Permanent
from revpipe.notifying import links
from revpipe.web.access import public
from revpipe.web.current import services

blueprint = Blueprint("links", __name__, url_prefix="/a")

LONGEST_TOKEN: Final = 100
MAX_REASON: Final = 500
STYLE: Final = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:0 auto;padding:1rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}dt{font-weight:600}dd{margin:0;"
    "white-space:pre-wrap;overflow-wrap:anywhere}form{margin:1rem 0}button{font:inherit;padding:.5rem 1.5rem}"
    "textarea{font:inherit;width:100%;box-sizing:border-box}.told{border:1px solid;border-radius:.25rem;padding:.75rem}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    # The token is in the address: it must not travel on from here.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


@blueprint.get("/<token>")
@public("the token in the address is what lets its one person in")
def show(token: str) -> Response:
    """Show what is to be decided, and nothing more: mail scanners and previews come here, too."""
    return _page(token, None, 200)


@blueprint.post("/<token>")
@public("the token in the address is what lets its one person in")
def decide(token: str) -> Response:
    """Decide once. The token itself keeps others' pages from posting here: only who got the mail knows it.

    400 neither approve nor reject, 404 no such link, 409 it does not count; the page then says why.
    """
    what = request.form.get("decision", "")
    if what not in ("approve", "reject"):
        return _page(token, "Choose to approve or to reject.", 400)
    try:
        links.decide(services(), token[:LONGEST_TOKEN], what, request.form.get("reason", "")[:MAX_REASON] or None)
    except Permanent as error:
        return _page(token, f"Nothing was done: {error}.", 409)
    return _page(token, None, 200)


def _page(token: str, told: str | None, status: int) -> Response:
    found = links.look(services(), token[:LONGEST_TOKEN])
    response = make_response(
        render_template("link.html", page=found, told=told, style=STYLE), status if found is not None else 404
    )
    response.headers.update(HEADERS)
    return response
