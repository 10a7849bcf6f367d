"""What a rehearsal asks of the ledger while it runs, and what it does there as the person who approves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, RowMapping, text
from sqlalchemy.exc import SQLAlchemyError

from revpipe.db import transaction

_HELD: Final = (
    "SELECT worker, count(*) AS n FROM (SELECT worker, lease_until FROM signals WHERE claim_id IS NOT NULL"
    " UNION ALL SELECT worker, lease_until FROM actions WHERE claim_id IS NOT NULL) AS held"
    " WHERE lease_until > now() GROUP BY worker"
)
_OPEN: Final = (
    "SELECT s.signal_id, s.queue, s.due_at > now() AND s.sent_at IS NULL AS later,"
    " COALESCE(bool_or(a.state IN ('planned', 'ready', 'running')), false) AS busy,"
    " COALESCE(bool_and(a.due_at > now() AND a.sent_at IS NULL) FILTER (WHERE a.state IN ('ready', 'running')), false)"
    " AS busy_later, COALESCE(bool_or(a.state = 'unknown'), false) AS unknown,"
    " COALESCE(bool_or(a.state = 'awaiting_approval'), false) AS asks"
    " FROM signals s LEFT JOIN actions a USING (signal_id) WHERE s.state <> 'done'"
    " GROUP BY s.signal_id ORDER BY s.signal_id"
)
_MOVEMENT: Final = (
    "SELECT (SELECT count(*) FROM trail) AS happened, (SELECT count(*) FROM signals WHERE state <> 'done') AS open,"
    " (SELECT coalesce(max(send_no), 0) FROM signals) + (SELECT coalesce(max(send_no), 0) FROM actions) AS sent"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the ledger stands: open signals by why they are open, and a mark that changes with every movement.

    `later` are those that wait for a time that has not come; `unknown` and `asks` wait for a person.
    """

    moving: int
    later: int
    asks: int
    unknown: int
    mark: tuple[Any, ...]


def held(engine: Engine) -> dict[str, int] | None:
    """Rows in work by worker: those whose lease runs at this moment. None if the database does not answer."""
    try:
        with transaction(engine) as tx:
            return {row.worker: int(row.n) for row in tx.execute(text(_HELD))}
    except SQLAlchemyError:
        return None


def standing(engine: Engine) -> Standing | None:
    """Where the ledger stands, None if the database does not answer."""
    try:
        with transaction(engine) as tx:
            rows = tx.execute(text(_OPEN)).mappings().all()
            mark = tuple(tx.execute(text(_MOVEMENT)).one())
    except SQLAlchemyError:
        return None
    classes = [_class(row) for row in rows]
    moving, later, asks, unknown = (classes.count(one) for one in ("moving", "later", "asks", "unknown"))
    return Standing(moving, later, asks, unknown, mark)


def awaiting(tx: Connection) -> Sequence[Any]:
    """The ids of actions that wait for a person's word."""
    found = tx.execute(text("SELECT action_id FROM actions WHERE state = 'awaiting_approval' ORDER BY action_id"))
    return list(found.scalars())


def signals(tx: Connection) -> list[dict[str, Any]]:
    """All signals with what identifies their events at the vendor."""
    found = tx.execute(
        text(
            "SELECT signal_id, source, deal_id, state, disposition, reason, stage, fired_at,"
            " payload ->> 'call_id' AS call_id, payload ->> 'object_id' AS object_id,"
            " payload -> 'vendor' ->> 'event_id' AS event_id FROM signals ORDER BY signal_id"
        )
    )
    return [dict(row) for row in found.mappings()]


def actions(tx: Connection) -> list[dict[str, Any]]:
    """All actions."""
    found = tx.execute(
        text(
            "SELECT action_id, signal_id, rule_id, type, adapter, state, reason, params, subject FROM actions"
            " ORDER BY action_id"
        )
    )
    return [dict(row) for row in found.mappings()]


def requests(tx: Connection) -> list[dict[str, Any]]:
    """All requests for approval that went to Slack."""
    found = tx.execute(text("SELECT request_id FROM approval_requests WHERE way = 'slack' ORDER BY request_id"))
    return [dict(row) for row in found.mappings()]


def _class(row: RowMapping) -> str:
    if row["queue"] or row["busy"]:
        return "later" if (row["later"] if row["queue"] else row["busy_later"]) else "moving"
    if row["unknown"]:
        return "unknown"
    # A signal that waits for none of its actions waits for nothing: it will never move.
    return "asks" if row["asks"] else "moving"
