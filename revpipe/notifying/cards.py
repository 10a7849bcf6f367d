"""What a recipient is to see of an approval, in plain words; how it looks is the messenger's affair."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from revpipe.approvals import View, texts
from revpipe.messenger import Card
from revpipe.services import Services

AT_EXPIRY: Final = {
    "execute": "then it goes out as it stands, if the facts still hold",
    "escalate": "then somebody else is asked",
    "reject": "then it is dropped",
    "expire": "then it is dropped",
}
SOURCES: Final = {"llm": "the language model", "fallback": "the fallback rules, since the language model had no answer"}


def card_of(
    view: View,
    key: uuid.UUID,
    user_id: uuid.UUID | None,
    services: Services,
    asked_at: datetime | None = None,
    link: str | None = None,
    *,
    reaches: bool = False,
) -> Card:
    """The card for one recipient, asked at `asked_at`; `user_id` is None for a channel, where any reader may try.

    `reaches`: that this is shown proves that the approver has the request.
    """
    public_url, policy = services.settings.public_url, services.policy.get(view.type)
    proposed = SOURCES.get(view.decided_by, f"rule {view.rule_id}")
    return Card(
        key=str(key),
        action_id=view.action_id,
        version=view.version,
        type=view.type,
        params=view.params,
        why=view.why,
        source=proposed if view.decided_by != "llm" else f"{proposed} ({view.rule_id})",
        deal_id=view.deal_id,
        deal_name=view.deal_name,
        asked=asked(view.approver) + (f", {view.agreed} of {view.needed} have agreed" if view.needed > 1 else ""),
        expires_at=view.expires_at,
        at_expiry=AT_EXPIRY[texts.ending(view, policy, delivered=reaches)],
        risk=view.risk,
        editable=tuple(policy.editable) if policy else (),
        edited=_edited(view),
        outcome=outcome(view, user_id, asked_at),
        page=f"{public_url}/console/approvals/{view.action_id}" if public_url else None,
        link=link,
    )


def outcome(view: View, user_id: uuid.UUID | None = None, asked_at: datetime | None = None) -> str | None:
    """What became of an approval in one sentence, None while this person, asked at that time, may still decide."""
    if view.state == "open":
        asked_before = asked_at is not None and view.escalated_at is not None and asked_at < view.escalated_at
        if asked_before and user_id is not None and str(view.approver.get("user_id")) != str(user_id):
            return f"Passed on to {asked(view.approver)}: there was no answer in time."
        return None
    ended = view.state.capitalize()
    decided = view.decided or {}
    if decided.get("way") not in (None, "policy"):
        ended = f"{ended} by {decided.get('by') or 'nobody known'} by {decided['way']}"
    elif view.state in ("approved", "rejected"):
        ended += f" by {decided.get('by') or 'policy'}"
    at = decided.get("at")
    if isinstance(at, datetime):
        ended += f" at {clock(at)}"
    if decided.get("reason"):
        ended += f": {decided['reason']}"
    return f"{ended.rstrip('.')}.{_became(view)}"


def _became(view: View) -> str:
    """What became of the action, in words; nothing where the decision says it already."""
    state = (view.outcome or "").partition(":")[0]
    if not state or state in ("rejected", "expired"):
        return ""
    return f" {str(view.outcome).replace('_', ' ').capitalize()}."


def asked(approver: Mapping[str, Any]) -> str:
    """Who is asked, for people."""
    return str(approver.get("email") or f"everyone with the role {approver.get('role') or 'operator'}")


def clock(at: datetime) -> str:
    """A moment, for people who may be anywhere."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _edited(view: View) -> str | None:
    if view.version <= 1 or not view.versions:
        return None
    last = max(view.versions, key=lambda one: one["version"])
    at = last.get("at")
    return f"{last.get('by')} by {last.get('way')}" + (f" at {clock(at)}" if isinstance(at, datetime) else "")
