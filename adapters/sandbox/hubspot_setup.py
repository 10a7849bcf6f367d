"""Owners, pipelines and property definitions: what an account has set up."""

from flask import Response, jsonify, request

from adapters.sandbox import hubspot_account, hubspot_schema
from adapters.sandbox.hubspot_errors import missing
from adapters.sandbox.hubspot_render import Json, number, type_of
from adapters.sandbox.world import here


def owners(ver: str = "v3") -> Response:
    """GET a page of owners, or the one with an e-mail address."""
    email, archived = request.args.get("email"), request.args.get("archived") == "true"
    limit, after = number("limit", 100, 500), int(request.args.get("after") or 0)
    found = [
        item
        for item in here().hubspot.owners
        if item["archived"] is archived and (not email or item["email"].lower() == email.lower())
    ]
    answer: Json = {"results": found[after : after + limit]}
    if after + limit < len(found):
        answer["paging"] = {"next": {"after": str(after + limit)}}
    return jsonify(answer)


def owner(id: str, ver: str = "v3") -> Response:
    """GET one owner by its owner id, or with idProperty=userId by its user id."""
    field = "userId" if request.args.get("idProperty") == "userId" else "id"
    found = next((item for item in here().hubspot.owners if str(item[field]) == id), None)
    if found is None:
        raise missing()
    return jsonify(found)


def pipelines(kind: str, ver: str = "v3") -> Response:
    """GET the pipelines of an object type; only deals have one here."""
    found = [hubspot_account.pipeline()] if type_of(kind) == "0-3" else []
    return jsonify({"results": found})


def properties(kind: str, ver: str = "v3") -> Response:
    """GET every property that the account has on an object type."""
    type_id = type_of(kind)
    types = {"text": "string", "number": "number", "datetime": "datetime", "bool": "bool"}
    return jsonify(
        {
            "results": [
                {
                    "name": name,
                    "label": name.removeprefix("hs_").replace("_", " ").capitalize(),
                    "type": "enumeration" if name in hubspot_schema.OPTIONS else types[kind_],
                    "options": [
                        {"label": option.capitalize(), "value": option}
                        for option in sorted(hubspot_schema.OPTIONS.get(name, ()))
                    ],
                    "calculated": name in hubspot_schema.READ_ONLY,
                    "hasUniqueValue": name in ("hs_object_id", "email"),
                    "archived": False,
                    "modificationMetadata": {"readOnlyValue": name in hubspot_schema.READ_ONLY},
                }
                for name, kind_ in sorted(here().hubspot.kinds[type_id].items())
            ]
        }
    )
