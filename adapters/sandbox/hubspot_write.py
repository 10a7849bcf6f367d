"""Checking and doing one write, single or out of a batch; each write done is recorded as an effect."""

from typing import Any

from adapters.sandbox import hubspot_account, hubspot_schema
from adapters.sandbox.hubspot_errors import bad_properties, invalid, refuse
from adapters.sandbox.hubspot_record import Record
from adapters.sandbox.hubspot_render import Json
from adapters.sandbox.hubspot_store import HubSpotStore
from adapters.sandbox.hubspot_values import problems_of
from adapters.sandbox.world import World

_STAGES = frozenset(hubspot_account.STAGES)


def check_values(store: HubSpotStore, type_id: str, given: Json) -> Json:
    """The properties of a create or update body. Raises a 400 for each reason HubSpot has."""
    values = given.get("properties")
    if not isinstance(values, dict):
        raise invalid("Invalid input JSON: properties must be an object")
    problems = problems_of(store.kinds[type_id], values, _STAGES)
    if problems:
        raise bad_properties(problems, store.knobs.portal_id)
    return values


def check_create(store: HubSpotStore, type_id: str, given: Json) -> list[tuple[str, str, Json]]:
    """Refuse what can't be created; else the associations wanted, as (object type, id, association type)."""
    values = check_values(store, type_id, given)
    if type_id in hubspot_schema.ACTIVITIES and not values.get("hs_timestamp"):
        raise invalid("Some required properties were not set: hs_timestamp")
    if type_id == "0-1" and values.get("email"):
        _refuse_known_email(store, str(values["email"]))
    return [_target(store, type_id, entry, kind) for entry, kind in _asked_links(given)]


def do_create(world: World, type_id: str, given: Json) -> Record:
    """Create a checked record, tell the app about its own write, and record the effect."""
    store = world.hubspot
    targets = check_create(store, type_id, given)
    record, events = store.insert(type_id, given["properties"], author=store.app)
    for to_type, id, kind in targets:
        link(store, (type_id, record.id), (to_type, id), kind)
    store.events.pending.extend(events)
    world.effects.record("hubspot", f"{hubspot_schema.TYPES[type_id][1]}.create", record.id, given)
    return record


def do_update(world: World, record: Record, given: Json) -> None:
    """Write checked properties to a record, tell the app about its own write, and record the effect."""
    store = world.hubspot
    values = check_values(store, record.type_id, given)
    store.events.pending.extend(store.change(record, values, author=store.app))
    world.effects.record("hubspot", f"{hubspot_schema.TYPES[record.type_id][1]}.update", record.id, given)


def link(store: HubSpotStore, start: tuple[str, str], end: tuple[str, str], kind: Json) -> None:
    """Associate two records by one association type, as our app."""
    ids = hubspot_schema.link_types(start[0], end[0])
    primary = len(ids) > 1 and kind["associationTypeId"] == ids[1]
    extra = None
    if kind.get("associationCategory") == "USER_DEFINED":
        extra = {"category": "USER_DEFINED", "typeId": kind["associationTypeId"], "label": "Custom"}
    if store.links.add(start, end, primary=primary, extra=extra):
        ends = (start, end)
        events = store.events.linked(ends, store.now(), store.app, removed=False, primary=primary)
        store.events.pending.extend(events)


def check_kind(from_type: str, kind: Any) -> str | None:
    """The object type an association type leads to. Raises a 400 for one of the wrong direction."""
    number = kind.get("associationTypeId") if isinstance(kind, dict) else None
    if not isinstance(number, int):
        raise invalid("Invalid input JSON: associationTypeId must be a number")
    if kind.get("associationCategory") == "USER_DEFINED":
        return None
    target = hubspot_schema.link_target(from_type, number)
    if target is None:
        raise invalid(f"association type id {number} doesn't exist from {hubspot_schema.singular(from_type)}")
    return target


def _asked_links(given: Json) -> list[tuple[Json, Any]]:
    asked = given.get("associations") or []
    if not isinstance(asked, list) or not all(isinstance(entry, dict) for entry in asked):
        raise invalid("Invalid input JSON: associations must be a list of objects")
    return [(entry, kind) for entry in asked for kind in entry.get("types") or [{}]]


def _target(store: HubSpotStore, from_type: str, entry: Json, kind: Any) -> tuple[str, str, Json]:
    id = str((entry.get("to") or {}).get("id"))
    target = check_kind(from_type, kind)
    candidates = [target] if target else list(hubspot_schema.TYPES)
    for type_id in candidates:
        record = store.find(type_id, id)
        if record is not None:
            return type_id, record.id, kind
    # Which status HubSpot gives here is not known from a source; a missing record is told as missing.
    raise refuse(404, f"No object with id {id} exists to associate with.", "OBJECT_NOT_FOUND")


def _refuse_known_email(store: HubSpotStore, email: str) -> None:
    for contact in store.all("0-1"):
        if (contact.value("email") or "").lower() == email.lower():
            raise refuse(409, f"Contact already exists. Existing ID: {contact.id}", "CONFLICT")
