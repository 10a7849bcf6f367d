"""The webhook events that HubSpot makes of a change, for the subscriptions that the app has."""

import random
import zlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from adapters.sandbox import hubspot_schema
from adapters.sandbox.hubspot_record import Author
from adapters.sandbox.hubspot_values import in_event
from adapters.sandbox.knobs import HubSpotKnobs

Event = dict[str, Any]
_WATCHED: Final = {
    "deal": "dealname dealstage amount closedate hubspot_owner_id pipeline hs_next_step description hs_priority",
    "contact": "email firstname lastname jobtitle phone lifecyclestage hubspot_owner_id hs_buying_role",
    "company": "name domain industry numberofemployees annualrevenue hubspot_owner_id",
}
_ACTIONS: Final = ("creation", "deletion", "associationChange", "merge")
USUAL: Final = frozenset(
    [f"{kind}.{action}" for kind in _WATCHED for action in _ACTIONS]
    + [f"{kind}.propertyChange:{name}" for kind, names in _WATCHED.items() for name in names.split()]
)
# Only these pairs have an association event of the classic kind (HubSpot docs, webhooks).
_PAIRED: Final = frozenset({"contact", "company", "deal", "ticket", "line_item"})
MOST_PENDING: Final = 100_000


class Events:
    """Builds events and keeps those that nobody has fetched yet."""

    def __init__(self, knobs: HubSpotKnobs, chance: random.Random) -> None:
        self._knobs = knobs
        self._chance = chance
        self.pending: deque[Event] = deque(maxlen=MOST_PENDING)

    def changed(self, type_id: str, id: str, at: int, author: Author, values: Mapping[str, str]) -> list[Event]:
        """One propertyChange for each subscribed property; all of one write carry one time."""
        kinds = hubspot_schema.PROPERTIES[type_id]
        events = []
        for name, value in values.items():
            more = {"objectId": int(id), "propertyName": name, "propertyValue": in_event(kinds, name, value)}
            events += self._event(type_id, "propertyChange", at, author, more, name)
        return events

    def created(self, type_id: str, id: str, at: int, author: Author, values: Mapping[str, str]) -> list[Event]:
        """The property changes of a new record with its creation somewhere among them, as captured."""
        events = self.changed(type_id, id, at, author, values)
        creation = self._event(type_id, "creation", at, author, {"objectId": int(id), "changeFlag": "CREATED"})
        place = self._chance.randint(0, len(events))
        return events[:place] + creation + events[place:]

    def deleted(self, type_id: str, id: str, at: int, author: Author) -> list[Event]:
        """A record went to the bin."""
        return self._event(type_id, "deletion", at, author, {"objectId": int(id), "changeFlag": "DELETED"})

    def linked(
        self,
        ends: tuple[tuple[str, str], tuple[str, str]],
        at: int,
        author: Author,
        *,
        removed: bool,
        primary: bool,
    ) -> list[Event]:
        """Both sides hear of an association; setting a primary one fires the unlabelled one too."""
        events: list[Event] = []
        for (from_type, from_id), (to_type, to_id) in (ends, ends[::-1]):
            pair = (hubspot_schema.singular(from_type), hubspot_schema.singular(to_type))
            if not _PAIRED.issuperset(pair):
                continue
            for is_primary in (True, False) if primary else (False,):
                more: Event = {
                    "associationType": f"{pair[0]}_to_{pair[1]}".upper(),
                    "fromObjectId": int(from_id),
                    "toObjectId": int(to_id),
                    "associationRemoved": removed,
                }
                if self._knobs.association_object_id:
                    more |= {"objectId": int(from_id), "isPrimaryAssociation": is_primary}
                events += self._event(from_type, "associationChange", at, author, more)
        return events

    def merged(
        self, type_id: str, new_id: str, primary: str, merged: list[str], at: int, author: Author
    ) -> list[Event]:
        """A merge, and the deletion of each record that went into it."""
        more = {
            "objectId": int(new_id),
            "primaryObjectId": int(primary),
            "mergedObjectIds": [int(id) for id in merged],
            "newObjectId": int(new_id),
            "numberOfPropertiesMoved": self._chance.randint(1, 9),
        }
        events = self._event(type_id, "merge", at, author, more)
        for id in merged:
            events += self.deleted(type_id, id, at, author)
        return events

    def drain(self) -> list[Event]:
        """Take all events that wait."""
        taken = []
        while self.pending:
            taken.append(self.pending.popleft())
        return taken

    def _event(
        self, type_id: str, action: str, at: int, author: Author, more: Event, name: str | None = None
    ) -> list[Event]:
        classic = f"{hubspot_schema.singular(type_id)}.{action}"
        forms: tuple[tuple[str, str, Event], ...] = (
            (f"{classic}:{name}" if name else classic, classic, {}),
            (
                f"object.{action}:{type_id}" + (f"/{name}" if name else ""),
                f"object.{action}",
                _generic(type_id, name),
            ),
        )
        wanted = USUAL if self._knobs.subscriptions is None else self._knobs.subscriptions
        return [self._base(key, kind, at, author) | extra | more for key, kind, extra in forms if key in wanted]

    def _base(self, key: str, kind: str, at: int, author: Author) -> Event:
        event: Event = {
            "eventId": self._chance.getrandbits(32),
            "subscriptionId": 1_000_000 + zlib.crc32(key.encode()) % 8_000_000,
            "portalId": self._knobs.portal_id,
            "appId": self._knobs.app_id,
            "occurredAt": at,
            "subscriptionType": kind,
            "attemptNumber": 0,
            "changeSource": author.source,
        }
        if author.source_id is not None:
            event["sourceId"] = author.source_id
        return event


def _generic(type_id: str, name: str | None) -> Event:
    return {"objectTypeId": type_id, "isSensitive": False} if name else {"objectTypeId": type_id}
