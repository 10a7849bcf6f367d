"""What a HubSpot event means in our words, and what makes two events the same (HubSpot docs, webhooks)."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from revpipe.errors import BadPayload
from revpipe.payloads import MAX_INTEGER
from revpipe.signals import UNKNOWN_EVENT

Event = Mapping[str, Any]

# HubSpot's names and type ids of the objects we name ourselves (HubSpot docs, object type ids).
_OBJECTS: Final = {
    "contact": ("0-1", "contact", "contacts"),
    "account": ("0-2", "company", "companies"),
    "deal": ("0-3", "deal", "deals"),
    "ticket": ("0-5", "ticket", "tickets"),
    "product": ("0-7", "product", "products"),
    "line_item": ("0-8", "line_item", "line_items"),
}
_TYPE_NAMES: Final = {word: name for name, words in _OBJECTS.items() for word in words}

_CRM: Final = frozenset({"creation", "deletion", "restore", "merge", "propertyChange", "associationChange"})
_ACTIONS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("company", "deal", "ticket", "line_item", "product", "object"), _CRM),
    "contact": _CRM | {"privacyDeletion"},
    "conversation": frozenset({"creation", "deletion", "privacyDeletion", "propertyChange", "newMessage"}),
}
_VERBS: Final = {
    "creation": "created",
    "deletion": "deleted",
    "restore": "restored",
    "merge": "merged",
    "privacyDeletion": "privacy_deleted",
    "newMessage": "message",
}
_DEAL_CHANGES: Final = {
    "dealstage": "deal.stage_changed",
    "closedate": "deal.close_date_changed",
    "amount": "deal.amount_changed",
    "hubspot_owner_id": "deal.owner_changed",
}
# The unlabelled association types of generic events; the classic events give them these names.
_ASSOCIATIONS: Final = {
    "3": "DEAL_TO_CONTACT",
    "4": "CONTACT_TO_DEAL",
    "279": "CONTACT_TO_COMPANY",
    "280": "COMPANY_TO_CONTACT",
    "341": "DEAL_TO_COMPANY",
    "342": "COMPANY_TO_DEAL",
}
_TYPE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_NOTHING: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Change:
    """An event read: its name in our words, its object, and what belongs into the payload beside them.

    `key` is what identifies the event apart from portal and time. `subjects` are the ids of the deal,
    account and contact it is about, by those three words (and of other objects, which nobody looks up).
    """

    event: str
    object_type: str | None
    object_id: str | None
    key: tuple[str | None, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)


def vendor_type(event: Event) -> str:
    """HubSpot's name of what happened; some of its samples write eventType. Raises BadPayload."""
    value = event.get("subscriptionType") or event.get("eventType")
    if not isinstance(value, str) or not value:
        raise BadPayload("missing_type", "subscriptionType must be a text such as deal.propertyChange")
    return value


def read_change(event: Event) -> Change:
    """What `event` (already checked as storable) says. Raises BadPayload naming the field that is wrong."""
    kind = vendor_type(event)
    prefix, _, action = kind.partition(".")
    if action not in _ACTIONS.get(prefix, ()):
        return _unknown(event, kind)
    return _READERS.get(action, _plain)(event, _object_type(event, prefix), action)


def identifier(event: Event, name: str) -> str | None:
    """An id as text, None if absent; HubSpot sends JSON integers. Raises BadPayload for anything else."""
    value = event.get(name)
    return None if value is None else _id_text(value, name)


def text(event: Event, name: str) -> str | None:
    """A scalar as text, None if absent. Raises BadPayload for an array or object."""
    value = event.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise BadPayload("bad_field", f"{name} must be a text")
    return json.dumps(value)


def _required(event: Event, name: str) -> str:
    value = identifier(event, name)
    if value is None:
        raise BadPayload("missing_field", f"{vendor_type(event)} needs {name}, an integer")
    return value


def _id_text(value: Any, name: str) -> str:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
        raise BadPayload("bad_id", f"{name} must be a whole number, not negative, of at most 64 bits")
    return str(value)


def _object_type(event: Event, prefix: str) -> str:
    """Our word for the object, else its type id: the event's own type field counts before the prefix."""
    if prefix == "conversation":
        return prefix
    typed = _type_name(event, "objectTypeId") or _type_name(event, "fromObjectTypeId")
    if typed is None and prefix == "object":
        raise BadPayload("missing_field", f"{vendor_type(event)} needs objectTypeId, a text such as 0-3")
    return typed or _TYPE_NAMES[prefix]


def _type_name(event: Event, name: str) -> str | None:
    value = event.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _TYPE_ID.fullmatch(value):
        raise BadPayload("bad_field", f"{name} must be an object type id such as 0-3")
    return _TYPE_NAMES.get(value.lower(), value)


def _family(object_type: str) -> str:
    return object_type if object_type in _OBJECTS or object_type == "conversation" else "object"


def _plain(event: Event, object_type: str, action: str) -> Change:
    object_id = _required(event, "objectId")
    name = f"{_family(object_type)}.{_VERBS[action]}"
    return Change(name, object_type, object_id, (object_type, action, object_id), {}, {object_type: object_id})


def _property(event: Event, object_type: str, action: str) -> Change:
    object_id = _required(event, "objectId")
    name = event.get("propertyName")
    if not isinstance(name, str) or not name:
        raise BadPayload("missing_field", f"{vendor_type(event)} needs propertyName, a text")
    value = text(event, "propertyValue") or ""
    return Change(
        event=_property_event(object_type, name),
        object_type=object_type,
        object_id=object_id,
        key=(object_type, action, object_id, name, value),
        facts={"property": name, "new_value": value},
        subjects={object_type: object_id},
    )


def _property_event(object_type: str, name: str) -> str:
    if object_type == "conversation":
        return "conversation.changed"
    finer = _DEAL_CHANGES if object_type == "deal" else _NOTHING
    return finer.get(name, f"{_family(object_type)}.property_changed")


def _association(event: Event, object_type: str, action: str) -> Change:
    from_id, to_id = _required(event, "fromObjectId"), _required(event, "toObjectId")
    removed = event.get("associationRemoved")
    if not isinstance(removed, bool):
        raise BadPayload("missing_field", f"{vendor_type(event)} needs associationRemoved, true or false")
    from_type, to_type, name, label = _association_types(event, object_type)
    facts = {"association": name, "from_id": from_id, "to_id": to_id, "removed": removed}
    # The side that the event names first wins where both are of one type, as in DEAL_TO_DEAL.
    subjects = {to_type: to_id, from_type: from_id} if to_type else {from_type: from_id}
    return Change(
        event=f"{_family(object_type)}.association_{'removed' if removed else 'added'}",
        object_type=object_type,
        object_id=identifier(event, "objectId") or subjects.get(object_type, from_id),
        key=(object_type, action, from_id, to_id, label, str(removed)),
        facts={name: value for name, value in facts.items() if value is not None},
        subjects=subjects,
    )


def _association_types(event: Event, object_type: str) -> tuple[str, str | None, str | None, str | None]:
    """From type, to type, the association's name, and what tells it from others between the same records."""
    name = text(event, "associationType")
    if name is not None:
        left, _, right = name.lower().partition("_to_")
        return _TYPE_NAMES.get(left, object_type), _TYPE_NAMES.get(right), name, name
    from_type = _type_name(event, "fromObjectTypeId") or object_type
    to_type = _type_name(event, "toObjectTypeId")
    type_id, category = identifier(event, "associationTypeId"), text(event, "associationCategory")
    label = f"{category}:{type_id}"
    if category in (None, "HUBSPOT_DEFINED"):
        # A classic and a generic subscription report one change twice; here they come to one label.
        label = _ASSOCIATIONS.get(type_id or "", label)
    return from_type, to_type, _association_name(from_type, to_type), label


def _association_name(from_type: str, to_type: str | None) -> str | None:
    if to_type is None:
        return None
    return "_TO_".join(_OBJECTS[kind][1].upper() if kind in _OBJECTS else kind for kind in (from_type, to_type))


def _merge(event: Event, object_type: str, action: str) -> Change:
    """A merge counts for the record that is left: deals merge into a new one, others into the primary."""
    primary = identifier(event, "primaryObjectId")
    survivor = identifier(event, "newObjectId") or primary or _required(event, "objectId")
    merged = event.get("mergedObjectIds")
    if not isinstance(merged, list | None):
        raise BadPayload("bad_field", "mergedObjectIds must be an array of integers")
    merged_ids = [_id_text(one, "mergedObjectIds") for one in merged or ()]
    return Change(
        event=f"{_family(object_type)}.merged",
        object_type=object_type,
        object_id=survivor,
        key=(object_type, action, primary or survivor, ",".join(sorted(merged_ids))),
        facts={"primary_id": primary, "merged_ids": merged_ids, "survivor_id": survivor},
        subjects={object_type: survivor},
    )


def _message(event: Event, object_type: str, action: str) -> Change:
    object_id = _required(event, "objectId")
    message_id = text(event, "messageId")
    if not message_id:
        raise BadPayload("missing_field", f"{vendor_type(event)} needs messageId, a text")
    facts = {"message_id": message_id, "message_type": text(event, "messageType")}
    return Change("conversation.message", object_type, object_id, (object_type, action, message_id), facts)


def _unknown(event: Event, kind: str) -> Change:
    # What identifies an event of a type we don't know is unknown too, so all of it counts but what
    # changes from one delivery of it to the next.
    known = {name: value for name, value in event.items() if name not in _PER_DELIVERY}
    return Change(
        event=UNKNOWN_EVENT,
        object_type=None,
        object_id=None if isinstance(event.get("objectId"), list | dict) else text(event, "objectId"),
        key=(None, kind, json.dumps(known, sort_keys=True)),
    )


_PER_DELIVERY: Final = frozenset({"eventId", "subscriptionId", "attemptNumber"})
_READERS: Final[Mapping[str, Callable[[Event, str, str], Change]]] = {
    "propertyChange": _property,
    "associationChange": _association,
    "merge": _merge,
    "newMessage": _message,
}
