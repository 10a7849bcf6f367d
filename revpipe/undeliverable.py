"""Messages that no worker could run, on their way from the dead queues into the ledger."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from revpipe import dead_letters
from revpipe.db import transaction
from revpipe.errors import Transient
from revpipe.ports import DeadMessage
from revpipe.services import Services

log = structlog.get_logger(__name__)

STAGE: Final = "message"
"""The stage of these letters: what is dead is a message, not the rows that it named."""
LIMIT: Final = 200
_IDS: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_IDS: Final = 500
_NOTE: Final = "the rows named here are in the ledger and are sent again by the sweep; only this message is dead"


def collect(services: Services, limit: int = LIMIT) -> int:
    """Write what lies in the dead queues as dead letters, then forget it there; returns how many messages.

    A crash between the two brings them again, and the same key makes one letter of it. A broker that can't be
    asked is asked next time. Raises OperationalError when the database is away.
    """
    try:
        found = services.dispatcher.take_dead(limit)
    except Transient:
        return 0
    written = [dead for dead in found if _written(services, dead)]
    if written:
        log.error("messages_buried", count=len(written), reasons=sorted({dead.reason for dead in written}))
        try:
            services.dispatcher.forget_dead(written)
        except Transient:
            log.warning("dead_messages_come_again", count=len(written))
    return len(written)


def write(tx: Connection, messages: Sequence[DeadMessage], now: datetime) -> None:
    """Write a dead letter of stage `message` for each; one whose key is there already is counted again."""
    dead_letters.bury(tx, [_letter(tx, dead) for dead in messages], now)


def _written(services: Services, dead: DeadMessage) -> bool:
    """A letter in a transaction of its own: one that the database refuses must not keep the others out."""
    try:
        with transaction(services.engine) as tx:
            write(tx, [dead], services.clock.now())
    except OperationalError:
        raise
    except SQLAlchemyError as error:
        log.error("dead_message_not_written", queue=_clean(dead.queue), error=type(error).__name__)
        return False
    return True


def _letter(tx: Connection, dead: DeadMessage) -> dead_letters.Letter:
    return dead_letters.Letter(
        key=_clean(dead.key),
        stage=STAGE,
        queue=_clean(dead.queue),
        reason=_clean(dead.reason),
        error=dead.error,
        traceback=dead.traceback,
        correlation_id=_correlation(dead.headers),
        message=dead.body,
        attempts=min(dead.attempts, 2**31 - 1),
        worker=_clean(dead.worker) if dead.worker else None,
        first_at=dead.parked_at,
        detail=_detail(tx, dead),
    )


def _detail(tx: Connection, dead: DeadMessage) -> dict[str, Any]:
    """What helps to understand the message, as texts: PostgreSQL refuses some JSON that a message may hold."""
    detail: dict[str, Any] = {
        "headers": _clean(json.dumps(dict(dead.headers), default=str, ensure_ascii=False), 4000),
        "properties": _clean(json.dumps(dict(dead.properties), default=str, ensure_ascii=False), 2000),
    }
    ids = [uuid.UUID(found.decode()) for found in dict.fromkeys(_IDS.findall(dead.body.lower()))][:_MOST_IDS]
    for name, question in _NAMED.items():
        known = [str(one) for one in tx.execute(text(question), {"ids": ids}).scalars()] if ids else []
        if known:
            detail |= {name: known, "note": _NOTE}
    return detail


_NAMED: Final = {
    "signal_ids": "SELECT signal_id FROM signals WHERE signal_id = ANY(:ids) ORDER BY 1",
    "action_ids": "SELECT action_id FROM actions WHERE action_id = ANY(:ids) ORDER BY 1",
}


def _correlation(headers: Mapping[str, Any]) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(headers.get("revpipe_cid")))
    except ValueError:
        return None


def _clean(words: str, most: int = 300) -> str:
    # PostgreSQL's text takes neither NUL nor half a surrogate pair.
    return words.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()[:most]
