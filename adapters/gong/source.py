"""Gong's webhook: one POST for each call that matched an automation rule.

Source: Gong help, "Create a webhook rule" and "Payload sent to webhooks".
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from adapters.gong import calls, fields, token
from revpipe.errors import BadPayload, SourceNotConfigured
from revpipe.payloads import check_storable, parse
from revpipe.ports import Accepted, Delivery, InboundRequest, Refused
from revpipe.signals import Signal, stable_id


class GongSettings(Protocol):
    """What the source needs to be told."""

    @property
    def gong_webhook_public_key(self) -> str | None:
        """The rule's public key; several, comma-separated, for several rules."""

    @property
    def gong_competitor_trackers(self) -> tuple[str, ...]:
        """Ids or names of the trackers that mean a competitor."""

    @property
    def public_url(self) -> str | None:
        """Where the rules in Gong send to, without the path."""


def build(settings: GongSettings) -> "GongSource":
    """The source as configured. Raises Misconfigured for a key that can't be read."""
    key = settings.gong_webhook_public_key
    return GongSource(
        keys=token.read_keys(key) if key else (),
        public_url=settings.public_url,
        competitors=settings.gong_competitor_trackers,
    )


class GongSource:
    """Turns a call into one signal for each deal that Gong links it to, or into one without a deal."""

    name = "gong"

    def __init__(self, keys: Sequence[RSAPublicKey], public_url: str | None, competitors: Sequence[str]) -> None:
        self._keys = tuple(keys)
        self._public_url = public_url
        self._competitors = tuple(competitors)

    def verify(self, request: InboundRequest) -> None:
        """Raise Unauthorised unless Gong signed this body for this URL; SourceNotConfigured without a key."""
        if not self._keys:
            raise SourceNotConfigured("GONG_WEBHOOK_PUBLIC_KEY is not set")
        if not self._public_url:
            raise SourceNotConfigured("PUBLIC_URL is not set; Gong signs the URL that its rule names")
        token.check(request, self._keys, self._public_url)

    def normalise(self, delivery: Delivery) -> list[Accepted | Refused]:
        """The signals of one call, all of one payload. Raises BadPayload if the body holds no call."""
        body = parse(delivery.request.body)
        call = _call(body)
        try:
            check_storable(body)
        except BadPayload as error:
            return [Refused(error.reason, error.detail, delivery.request.body)]
        if calls.call_id(call) is None:
            detail = "callData.metaData.id is missing, so that the call can't be told from others"
            return [Refused("no_call_id", detail, delivery.request.body)]
        private = fields.flag(fields.record(call.get("metaData")).get("isPrivate")) or fields.flag(
            body.get("isPrivate")
        )
        found = calls.read(call, self._competitors, private=private)
        suppressed = _suppressed(test=fields.flag(body.get("isTest")), private=private)
        return [Accepted(signal, suppressed) for signal in _signals(found, delivery, suppressed)]


def _call(body: Any) -> dict[str, Any]:
    """The call in a webhook's envelope, or the body itself: Gong's own sample shows it without one."""
    if isinstance(body, dict):
        if isinstance(body.get("callData"), dict):
            return fields.record(body["callData"])
        if "callData" not in body and isinstance(body.get("metaData"), dict):
            return body
    raise BadPayload("no_call", "the body is neither a Gong webhook (callData) nor a call (metaData)")


def _suppressed(*, test: bool, private: bool) -> str | None:
    if test:
        return "test_call"
    return "private_call" if private else None


def _signals(call: calls.Call, delivery: Delivery, suppressed: str | None) -> Iterator[Signal]:
    received = delivery.request.received_at
    deals: list[str | None] = [*call.deal_ids] or [None]
    for deal in deals:
        identity: list[object] = ["gong", call.payload["call_id"], deal or ""]
        if suppressed == "test_call":
            # "Test now" sends a real call: under its own id the call itself would later pass for a duplicate.
            identity.append("test")
        yield Signal(
            signal_id=stable_id(*identity),
            signal_type="call_complete",
            event="call.completed",
            source="gong",
            payload=call.payload,
            urgency="high" if call.mentions.names else "standard",
            confidence=call.mentions.confidence,
            fired_at=min(call.ended_at or received, received),
            received_at=received,
            delivery_id=delivery.delivery_id,
            correlation_id=delivery.correlation_id,
            account_id=call.account_id,
            deal_id=deal,
            contact_id=call.contact_id,
        )
