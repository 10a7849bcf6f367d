"""`/crm/v3/objects/{type}/batch/…`: many records in one call, where a success may have holes."""

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify

from adapters.sandbox import hubspot_schema
from adapters.sandbox.hubspot_errors import ApiError, refuse
from adapters.sandbox.hubspot_record import Record
from adapters.sandbox.hubspot_render import Json, body_object, inputs_of, partial, rendered, timed, type_of
from adapters.sandbox.hubspot_write import check_create, check_values, do_create, do_update
from adapters.sandbox.world import here

LIMIT = 100
LIMIT_WITH_HISTORY = 50


def read(kind: str, ver: str = "v3") -> tuple[Response, int]:
    """POST batch/read: each record once, in an order of HubSpot's own; unknown ids make one error entry."""
    store, type_id, body = here().hubspot, type_of(kind), body_object()
    history = body.get("propertiesWithHistory") or []
    inputs = inputs_of(body, LIMIT_WITH_HISTORY if history else LIMIT)
    ids = list(dict.fromkeys(str(item.get("id")) for item in inputs))
    by = body.get("idProperty")
    found: dict[str, Record] = {}
    lost = []
    for id in ids:
        record = _by_property(type_id, by, id) if by else store.find(type_id, id)
        if record is None:
            lost.append(id)
        else:
            found[record.id] = record
    # Sorted from the end, so that no caller can get away with zipping answers to its inputs.
    results = [
        rendered(store, record, body.get("properties") or [], history)
        for _, record in sorted(found.items(), reverse=True)
    ]
    errors = [_not_found(type_id, lost)] if lost else []
    return jsonify(timed(store, results, errors)), partial(ver, 200, errors)


def create(kind: str, ver: str = "v3") -> tuple[Response, int]:
    """POST batch/create: 201, or 207 when some inputs fail and every input has its objectWriteTraceId."""
    type_id = type_of(kind)
    return _write(
        ver,
        201,
        lambda item: check_create(here().hubspot, type_id, item),
        lambda item: do_create(here(), type_id, item),
    )


def update(kind: str, ver: str = "v3") -> tuple[Response, int]:
    """POST batch/update: 200 or 207. Unlike the single PATCH it refuses an id that was merged away."""
    store, type_id = here().hubspot, type_of(kind)

    def find(item: Json) -> Record:
        id = str(item.get("id"))
        record = store.find(type_id, id)
        if record is None or record.id != id:
            raise refuse(404, f"No {_name(type_id)} with id {id} exists.", "OBJECT_NOT_FOUND", context={"ids": [id]})
        return record

    def check(item: Json) -> None:
        find(item)
        check_values(store, type_id, item)

    def do(item: Json) -> Record:
        record = find(item)
        do_update(here(), record, item)
        return record

    return _write(ver, 200, check, do)


def _write(ver: str, good: int, check: Callable[[Json], Any], do: Callable[[Json], Record]) -> tuple[Response, int]:
    store = here().hubspot
    inputs = inputs_of(body_object(), LIMIT)
    if not all(item.get("objectWriteTraceId") for item in inputs):
        _refuse_all_for_one(inputs, check)
    results, errors = [], []
    for item in inputs:
        try:
            record = do(item)
        except ApiError as error:
            errors.append(_entry(error, item))
        else:
            results.append(rendered(store, record, list(item["properties"])) | _trace(item))
    return jsonify(timed(store, results[::-1], errors)), partial(ver, good, errors)


def _refuse_all_for_one(inputs: list[Json], check: Callable[[Json], Any]) -> None:
    """Without a trace id on every input HubSpot can't tell which one failed, and does none (inferred)."""
    for item in inputs:
        try:
            check(item)
        except ApiError as error:
            raise ApiError(400, error.body) from error


def _trace(item: Json) -> Json:
    """The caller's own name for an input, repeated in its result."""
    return {"objectWriteTraceId": item["objectWriteTraceId"]} if item.get("objectWriteTraceId") else {}


def _entry(error: ApiError, item: Json) -> Json:
    body = {name: value for name, value in error.body.items() if name != "correlationId"}
    context = dict(body.get("context") or {})
    context["objectWriteTraceId"] = [str(item["objectWriteTraceId"])]
    return body | {"context": context}


def _not_found(type_id: str, ids: list[str]) -> Json:
    return {
        "status": "error",
        "category": "OBJECT_NOT_FOUND",
        "message": f"Could not get some {_name(type_id)} objects, they may be deleted or not exist."
        " Check that ids are valid.",
        "context": {"ids": ids},
    }


def _name(type_id: str) -> str:
    return hubspot_schema.singular(type_id).upper()


def _by_property(type_id: str, name: str, value: str) -> Record | None:
    return next((record for record in here().hubspot.all(type_id) if record.value(name) == value), None)
