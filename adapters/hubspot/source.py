"""HubSpot's webhooks as a source of signals (HubSpot docs, webhooks)."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from adapters.hubspot import signature
from adapters.hubspot.events import Change, identifier, read_change, text, vendor_type
from revpipe.errors import BadPayload
from revpipe.payloads import check_storable, parse
from revpipe.ports import Accepted, Delivery, InboundRequest, Refused
from revpipe.signals import UNKNOWN_EVENT, Signal, stable_id

EARLIEST: Final = datetime(2006, 1, 1, tzinfo=UTC)
"""HubSpot was founded in 2006; an event from before is a mistake in units."""
AHEAD: Final = timedelta(days=1)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BETWEEN: Final = re.compile(r"[ \t\r\n,]*")
_BULK_SOURCES: Final = frozenset({"IMPORT", "DATA_ENRICHMENT", "CRM_UI_BULK_ACTION"})
_PRESSING: Final = frozenset(
    {"deal.stage_changed", "deal.close_date_changed", "deal.amount_changed", "deal.deleted", "deal.merged"}
)


class HubSpotSettings(Protocol):
    """What this source reads of the settings."""

    @property
    def hubspot_client_secret(self) -> tuple[str, ...]: ...
    @property
    def public_url(self) -> str | None: ...
    @property
    def hubspot_app_id(self) -> str | None: ...
    @property
    def hubspot_portal_id(self) -> str | None: ...
    @property
    def hubspot_legacy_signatures(self) -> tuple[str, ...]: ...


def build(settings: HubSpotSettings) -> "HubSpotSource":
    """The source for these settings; it opens nothing."""
    return HubSpotSource(settings)


class HubSpotSource:
    """Checks HubSpot's signature and turns each event of a webhook into a signal; see ports.Source."""

    name: str = "hubspot"

    def __init__(self, settings: HubSpotSettings) -> None:
        self._settings = settings

    def verify(self, request: InboundRequest) -> None:
        """Raise Unauthorised unless HubSpot signed `request`, SourceNotConfigured if that can't be known."""
        settings = self._settings
        signature.check(
            request,
            secrets=settings.hubspot_client_secret,
            public_url=settings.public_url,
            legacy=settings.hubspot_legacy_signatures,
        )

    def normalise(self, delivery: Delivery) -> list[Accepted | Refused]:
        """One result for each event, in the order sent. Raises BadPayload if the body is no array of events."""
        body = delivery.request.body
        results: list[Accepted | Refused] = []
        fragments: Sequence[bytes] | None = None
        for index, event in enumerate(_events(body)):
            try:
                results.append(self._accept(event, delivery))
            except BadPayload as error:
                fragments = fragments or _fragments(body)
                results.append(Refused(error.reason, error.detail, fragments[index]))
        return results

    def _accept(self, event: Any, delivery: Delivery) -> Accepted:
        if not isinstance(event, dict):
            raise BadPayload("not_an_object", "each element of the array must be a JSON object")
        check_storable(event)
        portal_id = self._portal(event)
        fired_at = _fired_at(event, delivery.request.received_at)
        change = read_change(event)
        vendor = _vendor(event, portal_id)
        change_source = text(event, "changeSource")
        signal = Signal(
            signal_id=stable_id("hubspot", portal_id, event["occurredAt"], *change.key),
            signal_type="crm_event",
            event=change.event,
            source=self.name,
            payload=_payload(change, change_source, vendor),
            urgency=_urgency(change, change_source),
            confidence=_confidence(change, change_source),
            fired_at=fired_at,
            received_at=delivery.request.received_at,
            delivery_id=delivery.delivery_id,
            correlation_id=delivery.correlation_id,
            account_id=change.subjects.get("account"),
            deal_id=change.subjects.get("deal"),
            contact_id=change.subjects.get("contact"),
        )
        return Accepted(signal, self._suppressed(change, change_source, vendor))

    def _portal(self, event: Mapping[str, Any]) -> str:
        portal_id = identifier(event, "portalId")
        if portal_id is None:
            raise BadPayload("missing_portal", "portalId must be the number of a HubSpot account")
        served = self._settings.hubspot_portal_id
        if served and portal_id != served:
            detail = f"the event is of HubSpot account {portal_id}, and HUBSPOT_PORTAL_ID is {served}"
            raise BadPayload("foreign_account", detail)
        return portal_id

    def _suppressed(self, change: Change, change_source: str | None, vendor: Mapping[str, Any]) -> str | None:
        if change.event == UNKNOWN_EVENT:
            return "unknown_type"
        # What we wrote ourselves comes back as an event of our own app; acting on it would go round for ever.
        own_id = self._settings.hubspot_app_id or vendor["app_id"]
        if change_source == "INTEGRATION" and own_id is not None and vendor["source_id"] == own_id:
            return "own_write"
        return None


def _events(body: bytes) -> list[Any]:
    value = parse(body)
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and ("subscriptionType" in value or "eventType" in value):
        return [value]
    raise BadPayload("unexpected_shape", "the body must be a JSON array of HubSpot events")


def _fragments(body: bytes) -> list[bytes]:
    """The text of each event exactly as sent, of a body that `_events` could read.

    Cut out rather than written anew: what makes an event unfit (a number beyond all limits, half a
    surrogate pair, deep nesting) would not survive the encoder.
    """
    whole = body.decode().strip()
    if whole.startswith("{"):
        return [whole.encode()]
    decoder = json.JSONDecoder(parse_int=str, parse_float=str)  # only where a value ends is of interest
    found: list[bytes] = []
    start = _skip(whole, 1)
    while whole[start] != "]":
        _, end = decoder.raw_decode(whole, start)
        found.append(whole[start:end].encode())
        start = _skip(whole, end)
    return found


def _skip(whole: str, start: int) -> int:
    gap = _BETWEEN.match(whole, start)
    return gap.end() if gap else start


def _fired_at(event: Mapping[str, Any], received_at: datetime) -> datetime:
    value = event.get("occurredAt")
    latest = received_at + AHEAD
    if isinstance(value, int) and not isinstance(value, bool):
        millis = timedelta(milliseconds=1)
        if (EARLIEST - _EPOCH) // millis <= value <= (latest - _EPOCH) // millis:
            return _EPOCH + value * millis
    expected = f"{EARLIEST:%Y-%m-%d} and {latest.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    raise BadPayload("bad_time", f"occurredAt must be a time in epoch milliseconds between {expected}")


def _vendor(event: Mapping[str, Any], portal_id: str) -> dict[str, Any]:
    attempt = identifier(event, "attemptNumber")
    vendor = {
        "event_id": identifier(event, "eventId"),
        "subscription_id": identifier(event, "subscriptionId"),
        "subscription_type": vendor_type(event),
        "portal_id": portal_id,
        "app_id": identifier(event, "appId"),
        "attempt": None if attempt is None else int(attempt),
        "source_id": text(event, "sourceId"),
    }
    if event.get("associationTypeId") is not None:
        vendor["association_type_id"] = text(event, "associationTypeId")
    return vendor


def _payload(change: Change, change_source: str | None, vendor: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "object_type": change.object_type,
        "object_id": change.object_id,
        **change.facts,
        "change_source": change_source,
        "vendor": vendor,
    }


def _urgency(change: Change, change_source: str | None) -> str:
    # Imports and bulk edits come by the thousand: whatever they change, they must not crowd out people.
    if change_source in _BULK_SOURCES or change.event == UNKNOWN_EVENT:
        return "low"
    buyer_left = change.facts.get("removed") is True and change.subjects.keys() >= {"deal", "contact"}
    return "high" if buyer_left or change.event in _PRESSING else "standard"


def _confidence(change: Change, change_source: str | None) -> float:
    if change_source == "DATA_ENRICHMENT":
        return 0.6
    return 1.0 if change.event.endswith(".created") else 0.95
