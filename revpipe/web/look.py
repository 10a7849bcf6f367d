"""What every page of the console stands on: the static files and the names that `layout.html` uses."""

import hashlib
import json
import mimetypes
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final, cast

from flask import Blueprint, Flask, Response, abort, request, url_for
from markupsafe import Markup

from revpipe.services import Services
from revpipe.web.access import public
from revpipe.web.current import services

STATIC: Final = Path(__file__).parent / "static"
SERVED: Final = (".css", ".js", ".svg")
FOR_GOOD: Final = "public, max-age=31536000, immutable"
"""A file is asked for by its content's hash, so what is kept under that address never grows old."""
HTMX: Final = json.dumps(
    {
        # No inline style and no evaluated text: the content security policy allows neither.
        "includeIndicatorStyles": False,
        "allowEval": False,
        "allowScriptTags": False,
        # No page with customer data stays behind in the browser's storage: going back loads it again.
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "selfRequestsOnly": True,
        "scrollIntoViewOnBoost": False,
        # A page that says no is a page to be read; 304 says that nothing is new.
        "responseHandling": [
            {"code": "204|304", "swap": False},
            {"code": "[23]..", "swap": True},
            {"code": "403|404|409|422", "swap": True},
            {"code": "[45]..", "swap": False, "error": True},
        ],
    }
)

blueprint = Blueprint("look", __name__)


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the console's bar, for those who have the permission."""

    words: str
    path: str
    permission: str


LINKS: Final = (
    Link("Overview", "/console/", "overview.read"),
    Link("Approvals", "/console/approvals", "approvals.read"),
)


def register(app: Flask) -> None:
    """Serve the static files, and give templates what the layout asks for."""
    app.register_blueprint(blueprint)
    # Flask's own cookie holds nothing but the notes that the next page shows.
    found: Services = app.extensions["revpipe"]
    secure = (found.settings.public_url or "").startswith("https://")
    app.config.update(SESSION_COOKIE_NAME="revpipe-notes", SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_SECURE=secure)
    app.jinja_env.globals.update(
        asset=asset, htmx_config=HTMX, console_links=lambda: LINKS, now_s=lambda: services().clock.now().timestamp()
    )
    app.jinja_env.filters.update(moment=moment)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


@blueprint.get("/static/<path:name>")
@public("the console's looks, which hold no data")
def static(name: str) -> Response:
    """One of our own files; kept by browsers for good if it was asked for by its hash."""
    body = _files().get(name)
    if body is None:
        abort(404, "There is no such file.")
    answer = Response(body, mimetype=mimetypes.guess_type(name)[0])
    answer.set_etag(_hash(name))
    answer.headers["Cache-Control"] = FOR_GOOD if request.args.get("v") == _hash(name) else "no-cache"
    return cast(Response, answer.make_conditional(request))


def asset(name: str) -> str:
    """The address of a static file, which changes with its content."""
    return url_for("look.static", name=name, v=_hash(name))


def moment(at: datetime) -> Markup:
    """A time to the minute, in UTC, for people and for machines."""
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), f"{utc:%Y-%m-%d %H:%M} UTC")


@cache
def _files() -> dict[str, bytes]:
    """All of them, which are few and small: nothing that a request names is looked for on the disk."""
    return {path.name: path.read_bytes() for path in sorted(STATIC.iterdir()) if path.suffix in SERVED}


@cache
def _hash(name: str) -> str:
    return hashlib.sha256(_files()[name]).hexdigest()[:12]
