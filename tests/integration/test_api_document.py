"""The OpenAPI document: it tells of every route, refers to nothing that is not there, and needs no token."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from revpipe.users.permissions import TABLE
from revpipe.web import access
from revpipe.web.app import create_app
from tests.integration.api_fixtures import Called, called, furnish

__all__ = ["called"]


@pytest.fixture
def document(called: Called) -> dict[str, Any]:
    answer = requests.get(f"{called.url}/api/v1/openapi.json", timeout=30)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "post", "patch", "put", "delete"):
                yield path, method, operation


def inside(value: Any) -> Iterator[Any]:
    """Every mapping within a document."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from inside(one)
    elif isinstance(value, list):
        for one in value:
            yield from inside(one)


def test_it_tells_of_every_route_and_of_no_other(called: Called, document: dict[str, Any]) -> None:
    app = create_app(called.services)
    routes = {
        (rule.rule.replace("<uuid:", "{").replace("<string(maxlength=64):", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/") and not rule.rule.endswith("openapi.json")
    }
    assert {(path, method) for path, method, _ in operations(document)} == routes
    assert document["openapi"] == "3.1.0"
    assert len(routes) >= 20


def test_every_operation_says_what_it_is_for_and_how_it_may_end(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["operationId"], where
        assert {"200", "401", "403", "422", "429", "503"} <= set(operation["responses"]), where
        ok = operation["responses"]["200"]
        assert ok["content"]["application/json"]["schema"], where
        if method == "get":
            assert "304" in operation["responses"], where
        else:
            assert "Idempotency-Key" in str([_resolve(document, one) for one in operation["parameters"]]), where


def test_what_it_refers_to_is_there(document: dict[str, Any]) -> None:
    known = {operation["operationId"]: operation for _, _, operation in operations(document)}
    assert len(known) == len(list(operations(document)))
    for one in inside(document):
        if "$ref" in one:
            assert _resolve(document, one)
        for link in (one.get("links") or {}).values():
            names = {_resolve(document, each)["name"] for each in _parameters(document, link["operationId"])}
            assert set(link["parameters"]) <= names, link


def test_every_resource_asks_for_a_permission_of_its_own(called: Called) -> None:
    app = create_app(called.services)
    asked = {
        said.permission
        for rule, method in access.asked(app)
        if rule.rule.startswith("/api/v1/") and isinstance(said := access.declared(app, rule, method), access.Allowed)
    }
    reads = {name for name in TABLE if name.endswith(".read")} - {"overview.read", "users.read"}
    assert reads <= asked
    assert {"approvals.decide", "deadletters.replay", "deadletters.discard", "rules.simulate"} <= asked


def _parameters(document: dict[str, Any], operation_id: str) -> list[dict[str, Any]]:
    for path, _, operation in operations(document):
        if operation["operationId"] == operation_id:
            return [*operation.get("parameters", ()), *document["paths"][path].get("parameters", ())]
    raise AssertionError(f"no operation is named {operation_id}")


def _resolve(document: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in one:
        return one
    found: Any = document
    for name in one["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return dict(found)


def test_every_link_leads_to_an_answer_of_the_shape_that_is_told(called: Called, document: dict[str, Any]) -> None:
    furnish(called.services)
    admin, followed = called.as_("admin"), 0
    places = {operation["operationId"]: (path, method) for path, method, operation in operations(document)}
    for path, method, operation in operations(document):
        if "links" not in operation["responses"]["200"] or method != "get":
            continue
        begin = fitting(document, operation, admin.get(path.removeprefix("/api/v1"), limit=1))
        for name, link in operation["responses"]["200"]["links"].items():
            target, verb = places[link["operationId"]]
            values = {key: pointed(begin, where) for key, where in link["parameters"].items()}
            assert all(values.values()), name
            inside_ = {key: value for key, value in values.items() if f"{{{key}}}" in target}
            asked = {key: value for key, value in values.items() if key not in inside_}
            answer = admin.ask(
                verb.upper(),
                target.removeprefix("/api/v1").format(**inside_),
                params=asked,
                json=BODIES.get(link["operationId"]),
                headers={"If-Match": "*"},
            )
            told = document["paths"][target][verb]
            assert answer.status_code < 300 or (verb != "get" and answer.status_code in (409, 422)), (name, answer.text)
            fitting(document, told, answer)
            followed += 1
    assert followed >= 20


BODIES = {"reject": {"reason": "no"}, "edit": {"changes": {"body": "c"}}, "discard": {"why": "a test"}}


def pointed(answer: Any, where: str) -> Any:
    """What an expression such as `$response.body#/items/0/id` stands for."""
    for name in where.removeprefix("$response.body#/").split("/"):
        answer = answer[int(name) if name.isdecimal() else name]
    return answer


def fitting(document: dict[str, Any], operation: dict[str, Any], answer: requests.Response) -> Any:
    """The body of an answer, which has the shape that the document tells."""
    told = _resolve(document, operation["responses"][str(answer.status_code)])
    (schema,) = (one["schema"] for one in told["content"].values())
    whole = {**schema, "components": document["components"]}
    Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(answer.json())
    return answer.json()
