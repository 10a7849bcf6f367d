"""HubSpot's CRM API: which path leads where, who may call, and how often."""

from flask import Blueprint, Response, g, jsonify, request

from adapters.sandbox import hubspot_associations, hubspot_batch, hubspot_objects, hubspot_search, hubspot_setup
from adapters.sandbox.hubspot_errors import ApiError, too_many, unauthorised
from adapters.sandbox.world import here

_VERSIONED = "<any('2026-03','2026-09'):ver>"
_OLD = "/crm/v3/objects/<kind>"
_NEW = f"/crm/objects/{_VERSIONED}/<kind>"
_FROM_TO = "<start>/<end>"
_ONE = "/crm/v4/objects/<start>/<id>/associations"

# (method, numbered path, date-based path or None, view). Static parts win over <id> when Flask matches.
_ROUTES = (
    ("GET", _OLD, _NEW, hubspot_objects.page),
    ("POST", _OLD, _NEW, hubspot_objects.create),
    ("GET", f"{_OLD}/<id>", f"{_NEW}/<id>", hubspot_objects.read),
    ("PATCH", f"{_OLD}/<id>", f"{_NEW}/<id>", hubspot_objects.update),
    ("DELETE", f"{_OLD}/<id>", f"{_NEW}/<id>", hubspot_objects.archive),
    ("POST", f"{_OLD}/batch/read", f"{_NEW}/batch/read", hubspot_batch.read),
    ("POST", f"{_OLD}/batch/create", f"{_NEW}/batch/create", hubspot_batch.create),
    ("POST", f"{_OLD}/batch/update", f"{_NEW}/batch/update", hubspot_batch.update),
    ("POST", f"{_OLD}/search", f"{_NEW}/search", hubspot_search.search),
    (
        "POST",
        f"/crm/v4/associations/{_FROM_TO}/batch/read",
        f"/crm/associations/{_VERSIONED}/{_FROM_TO}/batch/read",
        hubspot_associations.batch_read,
    ),
    (
        "GET",
        f"{_ONE}/<end>",
        f"{_NEW.replace('<kind>', '<start>')}/<id>/associations/<end>",
        hubspot_associations.one,
    ),
    ("PUT", f"{_ONE}/default/<end>/<end_id>", None, hubspot_associations.put_default),
    ("PUT", f"{_ONE}/<end>/<end_id>", None, hubspot_associations.put),
    ("DELETE", f"{_ONE}/<end>/<end_id>", None, hubspot_associations.remove),
    ("GET", "/crm/v3/owners", f"/crm/owners/{_VERSIONED}", hubspot_setup.owners),
    ("GET", "/crm/v3/owners/<id>", f"/crm/owners/{_VERSIONED}/<id>", hubspot_setup.owner),
    ("GET", "/crm/v3/pipelines/<kind>", f"/crm/pipelines/{_VERSIONED}/<kind>", hubspot_setup.pipelines),
    ("GET", "/crm/v3/properties/<kind>", f"/crm/properties/{_VERSIONED}/<kind>", hubspot_setup.properties),
)


def blueprint() -> Blueprint:
    """The API, to be registered under a prefix."""
    blue = Blueprint("hubspot", __name__)
    for method, numbered, dated, view in _ROUTES:
        for rule in (numbered, dated):
            if rule:
                endpoint = f"{view.__module__.rpartition('.')[2]}_{view.__name__}"
                blue.add_url_rule(rule, endpoint, view, methods=[method], strict_slashes=False)
    blue.before_request(_admit)
    blue.after_request(_tell_limits)
    blue.register_error_handler(ApiError, _answer)
    return blue


def _admit() -> None:
    world, knobs = here(), here().hubspot.knobs
    if request.headers.get("Authorization") != f"Bearer {knobs.token}":
        raise unauthorised()
    g.searching = request.path.endswith("/search")
    if g.searching:
        if world.pace("hubspot.search").admit(world.now(), knobs.search_rate_limit, 1.0) is None:
            raise too_many(knobs.portal_id, secondly=True)
        return
    g.remaining = world.pace("hubspot").admit(world.now(), knobs.rate_limit, knobs.rate_seconds)
    if g.remaining is None:
        raise too_many(knobs.portal_id)


def _tell_limits(response: Response) -> Response:
    knobs = here().hubspot.knobs
    # Search answers carry no rate headers (HubSpot docs, usage details).
    if knobs.rate_limit is not None and not g.get("searching", True):
        response.headers["X-HubSpot-RateLimit-Max"] = str(knobs.rate_limit)
        response.headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(int(knobs.rate_seconds * 1000))
        response.headers["X-HubSpot-RateLimit-Remaining"] = str(g.get("remaining") or 0)
    return response


def _answer(error: ApiError) -> tuple[Response, int]:
    return jsonify(error.body), error.status
