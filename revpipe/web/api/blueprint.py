"""What all resources of the API have in common: strict arguments, documented problems, ETags."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Final, TypeVar

from apispec import APISpec
from flask import Request, Response, abort, request
from flask_smorest import Blueprint
from flask_smorest.utils import deepupdate
from marshmallow import RAISE, Schema
from webargs.flaskparser import FlaskParser

from revpipe.web.api import refusals

View = TypeVar("View", bound=Callable[..., Any])

ALWAYS: Final = (401, 403, 422, 429, 503)
"""What any operation may be answered."""
PROBLEMS: Final[Mapping[int, str]] = {
    400: "The body can't be read: it is no JSON.",
    401: "No token, or one that does not hold.",
    403: "Your role, or the token's scopes, do not reach so far; or the deal is not yours.",
    404: "There is none of that id; or no page begins at that cursor.",
    409: "Somebody was faster, or what is asked for can't be done as things stand. Nothing was changed.",
    412: "It was edited since you saw it. Nothing was changed.",
    422: "Something in the request is not as this document says; `errors` names it.",
    428: "Say by If-Match which version you have seen.",
    429: "Too many calls; Retry-After says when to come again.",
    503: "The database is away; come again.",
}


class StrictParser(FlaskParser):
    """Refuses what no schema knows, so that a misspelt filter is told."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": RAISE, "json": RAISE}

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body as JSON; 400 also for what no reader of JSON takes in, though it is spelt well."""
        try:
            return super().load_json(req, schema)
        except RecursionError:
            abort(400, "json: Nested beyond what can be read.")
        except ValueError:
            # Python reads no number of thousands of digits.
            abort(400, "json: Invalid JSON body.")


class ApiBlueprint(Blueprint):  # type: ignore[misc]
    """The routes of one resource."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, path: str, description: str) -> None:
        super().__init__(f"api-{name}", __name__, url_prefix=f"/api/v1{path}", description=description)
        refusals.register(self)
        self._prepare_doc_cbks.append(self._describe)
        self.after_request(tag)

    def problems(self, *codes: int) -> Callable[[View], View]:
        """Say which problems an operation may end in, beside those that any may."""
        return _noting("problems", list(codes))

    def headers(self, *names: str) -> Callable[[View], View]:
        """Say which of the known request headers an operation reads."""
        return _noting("headers", list(names))

    def links(self, **links: Mapping[str, Any]) -> Callable[[View], View]:
        """Say where an answer leads to: name of the link → operation, parameter and where its value is."""
        return _noting("links", dict(links))

    def _describe(self, doc: dict[str, Any], info: dict[str, Any], *, method: str, **_: Any) -> dict[str, Any]:
        unreadable = (400,) if "requestBody" in doc else ()
        codes = sorted({*ALWAYS, *unreadable, *info.get("problems", ())})
        responses: dict[Any, Any] = {code: {"$ref": f"#/components/responses/problem_{code}"} for code in codes}
        doc.setdefault("responses", {}).pop("default", None)
        for name in info.get("headers", ()):
            doc.setdefault("parameters", []).append(name)
        if method == "get":
            doc.setdefault("parameters", []).append("if_none_match")
            responses[304] = {"description": "You have it as it is."}
        for code, known in doc["responses"].items():
            if int(code) < 300 and isinstance(known, dict):
                known.setdefault("headers", {}).update(_ANSWERED)
                if "links" in info:
                    known["links"] = deepcopy(info["links"])
        found: dict[str, Any] = deepupdate(doc, {"responses": responses})
        return found


_ANSWERED: Final = {
    "ETag": {"$ref": "#/components/headers/etag"},
    "X-RateLimit-Remaining": {"$ref": "#/components/headers/remaining"},
}


def tag(response: Response) -> Response:
    """Give an answer its ETag, and say 304 to whoever has it as it is."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    if request.method in ("GET", "HEAD") and response.status_code == 200 and not response.direct_passthrough:
        if "ETag" not in response.headers:
            response.add_etag()
        etag = response.get_etag()[0]
        if etag is not None and request.if_none_match.contains_weak(etag):
            response.status_code = 304
            response.set_data(b"")
    return response


def describe(spec: APISpec) -> None:
    """The parts of the document that operations refer to."""
    for name, where, what, pattern in (
        ("if_none_match", "If-None-Match", "The ETag that you have: 304 if it still holds.", None),
        ("idempotency_key", "Idempotency-Key", "Sent again with the same key within 24 h, a request is answered"
         " as it was and not carried out again.", "^[!-~]{1,200}$"),
    ):  # fmt: skip
        schema = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
        spec.components.parameter(name, "header", {"name": where, "description": what, "schema": schema})
    spec.components.parameter(
        "if_match",
        "header",
        {
            "name": "If-Match",
            "required": True,
            "description": 'The version that you have seen: the ETag of the approval, or the version alone as `"3"`.'
            " `*` stands for whichever there is.",
            "schema": {"type": "string", "pattern": r'^(\*|"[0-9]{1,6}(-[0-9]{1,9})?")$'},
        },
    )
    spec.components.header("etag", {"description": "Names this very answer.", "schema": {"type": "string"}})
    spec.components.header(
        "remaining", {"description": "Calls that are left in this minute.", "schema": {"type": "integer"}}
    )
    for code, what in PROBLEMS.items():
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        spec.components.response(f"problem_{code}", {"description": what, "content": content})
    spec.components.security_scheme(
        "token", {"type": "http", "scheme": "bearer", "description": "Made by `revpipe tokens add`, or in the console."}
    )


def _noting(name: str, value: Any) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        noted = deepcopy(getattr(view, "_apidoc", {}))
        noted[name] = value
        view._apidoc = noted  # type: ignore[attr-defined]
        return view

    return decorate
