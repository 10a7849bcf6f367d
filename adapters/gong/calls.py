"""One call as Gong describes it, turned into our payload. Shapes: Gong help, "Payload sent to webhooks"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from adapters.gong import fields
from adapters.gong.trackers import Mentions, count, heard, mentions

KINDS: Final = {
    "deal": "deal",
    "opportunity": "deal",
    "company": "account",
    "account": "account",
    "contact": "contact",
}
"""A CRM's name for an object, in lower case, and ours. Gong passes on each CRM's own words."""

# The whole URL, not only its host: people will click it, and browsers read a backslash as a slash.
_GONG_URL: Final = re.compile(r"https://(?:[a-z0-9-]+\.)*gong\.io(?::443)?(?:[/?#][^\s\\<>\"'|`\x00-\x20\x7f]*)?", re.I)


@dataclass(frozen=True, slots=True)
class Call:
    """What a signal needs of one call. `ended_at` is None if Gong did not say when the call started."""

    payload: dict[str, Any]
    deal_ids: list[str]
    account_id: str | None
    contact_id: str | None
    ended_at: datetime | None
    mentions: Mentions


def read(call: dict[str, Any], competitors: Sequence[str], *, private: bool) -> Call:
    """The call in our words; `competitors` are ids or names of trackers. A private one loses its content.

    Links to recordings (`media`) are never taken: they open for whoever holds them.
    """
    kept = {"metaData": _without_title(call), "context": call.get("context")} if private else call
    found = mentions(kept, competitors)
    crm = _crm(kept)
    deals = _ids(crm, "deal")
    accounts = _ids(crm, "account")
    payload = {
        **_facts(fields.record(kept.get("metaData"))),
        **_content(kept),
        "is_private": private,
        "competitors": found.names,
        "competitor_said_by": found.said_by,
        "crm": crm,
        "deals_on_call": len(deals),
    }
    return Call(
        payload=payload,
        deal_ids=deals,
        # With several accounts none is taken: enrichment knows the deal's, and a guess may be the wrong company.
        account_id=accounts[0] if len(accounts) == 1 else None,
        contact_id=_contact(kept),
        ended_at=_ended_at(fields.record(kept.get("metaData"))),
        mentions=found,
    )


def call_id(call: dict[str, Any]) -> str | None:
    """Gong's id of the call: text of up to 20 digits, the same in every delivery of this call."""
    return fields.text(fields.record(call.get("metaData")).get("id"))


def gong_url(value: Any) -> str | None:
    """`value` if it is an https link to gong.io or a host below it, else None."""
    url = fields.text(value)
    return url if url and _GONG_URL.fullmatch(url) else None


def _without_title(call: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.record(call.get("metaData")).items() if key != "title"}


def _facts(meta: dict[str, Any]) -> dict[str, Any]:
    started = fields.moment(meta.get("started"))
    return {
        "call_id": fields.text(meta.get("id")),
        "title": fields.text(meta.get("title")),
        "url": gong_url(meta.get("url")),
        "started_at": started.isoformat() if started else None,
        "duration_s": fields.number(meta.get("duration")),
        "direction": fields.word(meta.get("direction")),
        "scope": fields.word(meta.get("scope")),
    }


def _content(call: dict[str, Any]) -> dict[str, Any]:
    content = fields.record(call.get("content"))
    return {
        "trackers": [
            {"id": fields.text(item.get("id")), "name": fields.text(item.get("name")), "count": count(item)}
            for item in heard(call)
        ],
        "parties": [_party(party) for party in fields.records(call.get("parties"))],
        "brief": fields.text(content.get("brief")),
        "next_steps": _next_steps(content),
    }


def _party(party: dict[str, Any]) -> dict[str, str | None]:
    return {
        "name": fields.text(party.get("name")),
        "email": fields.text(party.get("emailAddress")),
        "title": fields.text(party.get("title")),
        "affiliation": fields.word(party.get("affiliation")),
    }


def _next_steps(content: dict[str, Any]) -> list[str]:
    written = [
        step
        for highlight in fields.records(content.get("highlights"))
        if fields.word(highlight.get("title")) == "next steps"
        for item in fields.records(highlight.get("items"))
        if (step := fields.text(item.get("text")))
    ]
    if written:
        return written
    # Older accounts have no highlights; what was said when a task was agreed is the next best.
    spoken = fields.records(fields.record(content.get("pointsOfInterest")).get("actionItems"))
    return [step for item in spoken if (step := fields.text(item.get("snippet")))]


def _ended_at(meta: dict[str, Any]) -> datetime | None:
    started = fields.moment(meta.get("started"))
    return fields.later(started, fields.number(meta.get("duration")) or 0) if started else None


def _crm(call: dict[str, Any]) -> list[dict[str, str | None]]:
    """All CRM objects of the call and of its people, each once. Unmapped kinds keep the CRM's word."""
    found = _objects(call)
    for party in fields.records(call.get("parties")):
        found += _objects(party)
    seen: dict[tuple[str | None, ...], dict[str, str | None]] = {}
    for item in found:
        seen.setdefault(tuple(item.values()), item)
    return list(seen.values())


def _objects(holder: dict[str, Any]) -> list[dict[str, str | None]]:
    found = []
    for system in fields.records(holder.get("context")):
        for item in fields.records(system.get("objects")):
            kind, number = fields.word(item.get("objectType")), fields.text(item.get("objectId"))
            if kind and number:
                entry = {"system": fields.text(system.get("system")), "object_type": KINDS.get(kind, kind)}
                found.append({**entry, "object_id": number})
    return found


def _ids(crm: list[dict[str, str | None]], kind: str) -> list[str]:
    return list(dict.fromkeys(item["object_id"] for item in crm if item["object_type"] == kind and item["object_id"]))


def _contact(call: dict[str, Any]) -> str | None:
    """The first contact among the people from outside, else among those whose side is not known."""
    parties = fields.records(call.get("parties"))
    for side in ("external", "unknown"):
        for party in parties:
            found = _ids(_objects(party), "contact")
            if found and (fields.word(party.get("affiliation")) or "unknown") == side:
                return found[0]
    return None
