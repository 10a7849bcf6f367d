"""Whom an action writes to, and what keeps it from being sent to them."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import suppressions
from revpipe.action_policy import ActionPolicy
from revpipe.db import sql

ADDRESSED: Final = ("draft_followup", "send_email", "enroll_sequence")
"""Types that somebody outside is the reader of."""
TOO_MANY: Final = "recipient_had_enough"


def address_of(type: str, params: Mapping[str, Any]) -> str | None:
    """The address, in lower case, that an action of a type writes to; None if there is none."""
    to = params.get("to") if type in ADDRESSED else None
    return to.strip().lower() or None if isinstance(to, str) else None


def kept_from(
    tx: Connection, actions: Iterable[Mapping[str, Any]], policy: Mapping[str, ActionPolicy], now: datetime
) -> dict[uuid.UUID, str]:
    """Those of `actions` that must not go to their recipients, each with the reason as a code."""
    addressed = [action for action in actions if action["recipient"]]
    if not addressed:
        return {}
    refused = suppressions.of(tx, {action["recipient"] for action in addressed})
    full = _had_enough(tx, addressed, policy, now)
    reasons = {action["action_id"]: refused.get(action["recipient"]) for action in addressed}
    return {key: reason or TOO_MANY for key, reason in reasons.items() if reason or key in full}


def _had_enough(
    tx: Connection, actions: Iterable[Mapping[str, Any]], policy: Mapping[str, ActionPolicy], now: datetime
) -> set[uuid.UUID]:
    """Those whose recipients got as many of their type as policy lets them have."""
    capped = [(action, cap) for action in actions if (cap := policy[action["type"]].cap) is not None]
    if not capped:
        return set()
    found = tx.execute(
        sql(
            "SELECT w.action_id FROM unnest(CAST(:ids AS uuid[]), CAST(:to AS text[]), CAST(:types AS text[]),"
            " CAST(:since AS timestamptz[]), CAST(:most AS int[])) AS w(action_id, recipient, type, since, most)"
            " WHERE (SELECT count(*) FROM actions AS a WHERE a.recipient = w.recipient AND a.state = 'done'"
            " AND a.done_at > w.since AND a.type = w.type) >= w.most"
        ),
        {
            "ids": [action["action_id"] for action, _ in capped],
            "to": [action["recipient"] for action, _ in capped],
            "types": [action["type"] for action, _ in capped],
            "since": [now - cap.within for _, cap in capped],
            "most": [cap.most for _, cap in capped],
        },
    )
    return set(found.scalars())
