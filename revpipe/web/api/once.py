"""Requests with an Idempotency-Key: carried out once, and answered as they were to whoever sends them again."""

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar

from flask import Response, abort, current_app, request

from revpipe import idempotency
from revpipe.db import transaction
from revpipe.idempotency import Answer, Request
from revpipe.web import access
from revpipe.web.current import services

View = TypeVar("View", bound=Callable[..., Any])

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_KEY: Final = re.compile("[!-~]{1,200}")
_KEPT: Final = ("Content-Type", "ETag")


def once(view: View) -> View:
    """Heed the key of a request, if it has one. For the whole answer, so outside of the schema that shapes it.

    Answers below 500 are kept, refusals too: they tell what the request did. Raises KeyReused, KeyBusy.
    """

    @wraps(view)
    def answer(*args: Any, **named: Any) -> Any:
        key = request.headers.get(HEADER)
        if key is None:
            return view(*args, **named)
        if not _KEY.fullmatch(key):
            abort(422, f"{HEADER}: write 1 to 200 printable characters without blanks, such as a new UUID.")
        asked = Request(str(access.current_user().user_id), key, _fingerprint())
        with transaction(services().engine) as tx:
            stored = idempotency.begin(tx, asked, services().clock.now())
        if stored is not None:
            return _again(stored)
        return _carried_out(asked, lambda: view(*args, **named))

    return answer  # type: ignore[return-value]


def _carried_out(asked: Request, do: Callable[[], Any]) -> Response:
    response: Response | None = None
    try:
        response = _answer(do)
    finally:
        with transaction(services().engine) as tx:
            if response is None or response.status_code >= 500:
                idempotency.let_go(tx, asked)
            else:
                headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
                idempotency.keep(tx, asked, Answer(response.status_code, headers, response.get_data()))
    return response


def _answer(do: Callable[[], Any]) -> Response:
    """What is answered, refusals as their handlers put them."""
    try:
        return current_app.make_response(do())
    except Exception as error:  # noqa: BLE001 - what has no handler is raised again by Flask
        return current_app.make_response(current_app.handle_user_exception(error))


def _again(stored: Answer) -> Response:
    # Who may see it was judged when it was made, for the same person.
    access.own_only()
    response = Response(stored.body, stored.status)
    response.headers.update(stored.headers)
    response.headers[REPLAYED] = "true"
    return response


def _fingerprint() -> str:
    """A hash of all that a request asks for."""
    parts = (request.method, request.full_path, request.headers.get("If-Match", ""))
    words = "\n".join(parts).encode() + b"\n" + request.get_data(cache=True)
    return hashlib.sha256(words).hexdigest()
