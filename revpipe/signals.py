"""The canonical signal: what every source is turned into, whatever it sent."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

SCHEMA_VERSION: Final = 1
SIGNAL_TYPES: Final = ("crm_event", "call_complete", "intent", "behavioral")
URGENCIES: Final = ("immediate", "high", "standard", "low")
UNKNOWN_EVENT: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that happened at a deal, account or contact, in our words, whatever its source.

    `event` is one of our own names (`deal.stage_changed`, `call.completed` …) or `unknown`.
    `payload` is normalised and source-agnostic. `confidence` is 0 to 1. Times are aware UTC.
    Vendor ids are text. `correlation_id` is shared by all that one delivery set off.
    """

    signal_id: uuid.UUID
    signal_type: str
    event: str
    source: str
    payload: Mapping[str, Any]
    urgency: str
    confidence: float
    fired_at: datetime
    received_at: datetime
    delivery_id: uuid.UUID
    correlation_id: uuid.UUID
    account_id: str | None = None
    deal_id: str | None = None
    contact_id: str | None = None
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.signal_type not in SIGNAL_TYPES:
            raise ValueError(f"unknown signal type {self.signal_type!r}")
        if self.urgency not in URGENCIES:
            raise ValueError(f"unknown urgency {self.urgency!r}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence {self.confidence} is not within 0 to 1")
        for name in ("fired_at", "received_at"):
            if getattr(self, name).tzinfo is None:
                raise ValueError(f"{name} has no time zone")

    @property
    def subject(self) -> str:
        """What this signal is about, as `kind:id`: the deal, else the account, else the contact, else itself."""
        return subject_of(self.deal_id, self.account_id, self.contact_id) or f"signal:{self.signal_id}"

    @property
    def domain(self) -> str | None:
        """The web domain that names the account of a signal which names nothing in the CRM itself, else None."""
        domain = self.payload.get("domain")
        return domain if isinstance(domain, str) and not (self.deal_id or self.account_id or self.contact_id) else None


def subject_of(deal_id: str | None, account_id: str | None, contact_id: str | None) -> str | None:
    """The narrowest thing that decisions are counted by, or None if nothing is known."""
    for kind, value in (("deal", deal_id), ("account", account_id), ("contact", contact_id)):
        if value:
            return f"{kind}:{value}"
    return None


def stable_id(*parts: object) -> uuid.UUID:
    """A UUID (version 8) from the SHA-256 of what identifies a thing: the same parts give the same id.

    Each part is length-prefixed, so that ("ab", "c") and ("a", "bc") differ; None differs from "".
    """
    digest = hashlib.sha256()
    for part in parts:
        text = b"\0" if part is None else str(part).encode()
        digest.update(b"%d:%s%s;" % (len(text), b"n" if part is None else b"v", text))
    raw = bytearray(digest.digest()[:16])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return uuid.UUID(bytes=bytes(raw))
