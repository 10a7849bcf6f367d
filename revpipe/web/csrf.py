"""Whether a request that changes something comes from a page of ours.

Every form carries a token that is made from a cookie which no other site can read; what the browser itself says of the
request's origin must agree.
"""

import hashlib
import hmac
from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request
from markupsafe import Markup
from werkzeug.exceptions import Forbidden

from revpipe.users import secret
from revpipe.web import cookies
from revpipe.web.current import services
from revpipe.web.visitor import visitor

FIELD: Final = "csrf_token"
HEADER: Final = "X-CSRF-Token"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Foreign(Forbidden):
    """A request that did not come from a page of ours, or from one that is too old."""

    description = "This form is too old, or did not come from here. Load the page again and repeat what you did."


def token() -> str:
    """What a form of the page that is being made must send back, as `csrf_token` or in the header X-CSRF-Token."""
    shown = cookies.read(cookies.SESSION) if visitor().session else cookies.read(cookies.FORM)
    if shown is None:
        shown = g.setdefault("new_form_cookie", secret.fresh())
    return _token_of(shown)


def field() -> Markup:
    """The token as a hidden field."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, token())


def demand(*kinds: str) -> None:
    """Raises Foreign unless the request names no other origin and carries the token of one of these cookies."""
    _demand_own_origin()
    given = (request.headers.get(HEADER) or request.form.get(FIELD) or "").encode()
    shown = [value for kind in kinds if (value := cookies.read(kind))]
    if not any(hmac.compare_digest(given, _token_of(value).encode()) for value in shown):
        raise Foreign


def install(app: Flask) -> None:
    """Give the browser of somebody who is not signed in a cookie for the forms it gets."""
    app.after_request(_hand_out)


def _demand_own_origin() -> None:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site != "same-origin":
        raise Foreign
    origin = request.headers.get("Origin")
    if origin is not None and origin not in _own_origins():
        raise Foreign


def _own_origins() -> set[str]:
    # Behind a router that ends TLS we see http. And `revpipe up` is as well reached as localhost as by its number.
    public = urlsplit(services().settings.public_url or "")
    scheme = "https" if cookies.secure() else request.scheme
    return {f"{public.scheme}://{public.netloc}", f"{scheme}://{request.host}"}


def _token_of(shown: str) -> str:
    key = str(current_app.secret_key).encode()
    return hmac.new(key, f"csrf:{shown}".encode(), hashlib.sha256).hexdigest()


def _hand_out(response: Response) -> Response:
    if "new_form_cookie" in g:
        cookies.write(response, cookies.FORM, g.new_form_cookie)
    return response
