"""`/crm/v3/objects/{type}/search`: an index that lags behind the data."""

import fnmatch
from collections.abc import Callable
from typing import Any, Final

from flask import Response, jsonify, request

from adapters.sandbox import hubspot_schema
from adapters.sandbox.hubspot_errors import invalid
from adapters.sandbox.hubspot_record import Record
from adapters.sandbox.hubspot_render import Json, body_object, rendered, type_of
from adapters.sandbox.times import parse_ms
from adapters.sandbox.world import here

MOST_CHARACTERS = 3000
MOST_RESULTS = 10_000


def search(kind: str, ver: str = "v3") -> Response:
    """POST search: what the index had learnt `search_lag` seconds ago; archived records never show."""
    store, type_id, body = here().hubspot, type_of(kind), body_object()
    _check(body)
    before = store.now() - int(store.knobs.search_lag * 1000)
    found = [
        record for record in store.all(type_id) if record.first_written() <= before and _matches(record, body, before)
    ]
    _sort(found, body.get("sorts") or [], before)
    limit, after = int(body.get("limit", 10)), int(body.get("after") or 0)
    chosen = found[after : after + limit]
    answer: Json = {"total": len(found)}
    answer["results"] = [_as_indexed(record, body.get("properties") or [], before) for record in chosen]
    if after + limit < len(found):
        answer["paging"] = {"next": {"after": str(after + limit)}}
    return jsonify(answer)


def _check(body: Json) -> None:
    groups = body.get("filterGroups") or []
    counts = [len(group.get("filters") or []) for group in groups]
    if len(request.get_data(as_text=True)) > MOST_CHARACTERS:
        raise invalid(f"The request body is longer than {MOST_CHARACTERS} characters")
    if len(groups) > 5 or max(counts, default=0) > 6 or sum(counts) > 18:
        raise invalid("At most 5 filter groups, 6 filters in each and 18 in all are allowed")
    if not 0 < int(body.get("limit", 10)) <= 200:
        raise invalid("limit must be between 1 and 200")
    if int(body.get("after") or 0) + int(body.get("limit", 10)) > MOST_RESULTS:
        raise invalid(f"A query gives at most {MOST_RESULTS} results")
    if len(body.get("sorts") or []) > 1:
        raise invalid("Only one sort is allowed")
    for group in groups:
        for rule in group.get("filters") or []:
            if rule.get("operator") not in _OPERATORS:
                raise invalid(f"operator {rule.get('operator')!r} is not known")


def _matches(record: Record, body: Json, before: int) -> bool:
    groups = body.get("filterGroups") or []
    text = str(body.get("query") or "").lower()
    if text and not any(
        text in (record.indexed(name, before) or "").lower() for name in hubspot_schema.DEFAULTS.get(record.type_id, ())
    ):
        return False
    return not groups or any(
        all(_holds(record, rule, before) for rule in group.get("filters") or []) for group in groups
    )


def _holds(record: Record, rule: Json, before: int) -> bool:
    name = str(rule.get("propertyName"))
    operator = _OPERATORS[rule["operator"]]
    if name.startswith("associations."):
        links = here().hubspot.links.of((record.type_id, record.id), type_of(name.partition(".")[2]))
        return any(operator(id, rule) for id, _ in links)
    return operator(record.indexed(name, before), rule)


def _sort(records: list[Record], sorts: list[Any], before: int) -> None:
    if not sorts:
        return
    first = sorts[0] if isinstance(sorts[0], dict) else {"propertyName": sorts[0]}
    records.sort(
        key=lambda record: _comparable(record.indexed(first["propertyName"], before) or ""),
        reverse=first.get("direction") == "DESCENDING",
    )


def _as_indexed(record: Record, wanted: list[str], before: int) -> Json:
    answer = rendered(here().hubspot, record, wanted)
    answer["properties"] = {name: record.indexed(name, before) for name in answer["properties"]}
    return answer


def _comparable(value: Any) -> tuple[int, float, str]:
    text = str(value)
    try:
        return 0, float(text), ""
    except ValueError:
        pass
    try:
        return 0, float(parse_ms(text)), ""
    except ValueError:
        return 1, 0.0, text.lower()


def _given(rule: Json) -> list[str]:
    return [str(value).lower() for value in rule.get("values") or []]


def _token(value: str | None, rule: Json) -> bool:
    pattern = str(rule.get("value", "")).lower()
    whole = (value or "").lower()
    return any(fnmatch.fnmatchcase(word, pattern) for word in [whole, *whole.replace("@", " ").split()])


def _compared(check: Callable[[Any, Any], bool]) -> Callable[[str | None, Json], bool]:
    return lambda value, rule: value is not None and check(_comparable(value), _comparable(rule.get("value")))


_OPERATORS: Final[dict[str, Callable[[str | None, Json], bool]]] = {
    "EQ": _compared(lambda one, other: one == other),
    "NEQ": lambda value, rule: value is None or _comparable(value) != _comparable(rule.get("value")),
    "LT": _compared(lambda one, other: one < other),
    "LTE": _compared(lambda one, other: one <= other),
    "GT": _compared(lambda one, other: one > other),
    "GTE": _compared(lambda one, other: one >= other),
    "BETWEEN": lambda value, rule: (
        value is not None and _comparable(rule.get("value")) <= _comparable(value) <= _comparable(rule.get("highValue"))
    ),
    "IN": lambda value, rule: value is not None and value.lower() in _given(rule),
    "NOT_IN": lambda value, rule: value is not None and value.lower() not in _given(rule),
    "HAS_PROPERTY": lambda value, rule: value is not None,
    "NOT_HAS_PROPERTY": lambda value, rule: value is None,
    "CONTAINS_TOKEN": _token,
    "NOT_CONTAINS_TOKEN": lambda value, rule: not _token(value, rule),
}
