"""Parts fetched lately, in the ledger: a burst of events on one deal asks its vendor once."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete

from revpipe import bulk, contexts
from revpipe.context_needs import ContextNeeds
from revpipe.db import sql
from revpipe.models import CachedPart
from revpipe.ports import Part
from revpipe.signals import Signal


def key_of(signal: Signal) -> str | None:
    """What a cached part hangs on; None where only the signal itself could be the key."""
    if signal.domain:
        return f"domain:{signal.domain}"
    if not (signal.deal_id or signal.account_id or signal.contact_id):
        return None
    return f"{signal.deal_id or ''}|{signal.account_id or ''}|{signal.contact_id or ''}"


def serving(signal: Signal, needs: ContextNeeds) -> frozenset[str]:
    """The parts wanted of a signal that may be had from the cache, and serve others from there."""
    return needs.of(signal).wanted & needs.cache.keys()


# Asked key by key. Asked for all of them at once, PostgreSQL goes by the expiry instead as soon as the keys are many,
# and reads all that a busy quarter of an hour has left here, for each chunk anew.
_RECALL: Final = (
    "SELECT held.part, held.key, held.value, held.fetched_at FROM unnest(CAST(:keys AS text[])) AS asked(key),"
    " LATERAL (SELECT part, key, value, fetched_at FROM cached_parts AS c"
    " WHERE c.key = asked.key AND c.expires_at > :now OFFSET 0) AS held"
)


def recall(
    tx: Connection,
    signals: Sequence[Signal],
    needs: ContextNeeds,
    found: Mapping[uuid.UUID, dict[str, Part]],
    now: datetime,
) -> None:
    """Add to `found` the wanted parts that were fetched after their signal fired and have not expired."""
    keys = {signal.signal_id: key_of(signal) for signal in signals}
    wanted = sorted({key for key in keys.values() if key})
    if not wanted:
        return
    rows = tx.execute(sql(_RECALL), {"keys": wanted, "now": now}).all()
    by_key: dict[str, list[Any]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    for signal in signals:
        for row in by_key.get(keys[signal.signal_id] or "", ()):
            if row.part in needs.of(signal).wanted and row.fetched_at >= signal.fired_at:
                found[signal.signal_id].update(contexts.load({row.part: row.value}, contexts.SCHEMA_VERSION))


def remember(tx: Connection, fetched: Sequence[tuple[Signal, Part]], needs: ContextNeeds) -> None:
    """Keep what may serve other signals, for as long as config/sources.yaml says.

    That the CRM knows no company by a domain is worth keeping too: of most that an intent file names it knows none.
    """
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for signal, part in fetched:
        lasts = needs.cache.get(part.name)
        key = key_of(signal)
        if lasts is None or key is None or not part.complete or not (part.value or signal.domain):
            continue
        rows[part.provider, part.name, key] = {
            "provider": part.provider,
            "part": part.name,
            "key": key,
            "value": contexts.dump({part.name: part})[part.name],
            "fetched_at": part.fetched_at,
            "expires_at": part.fetched_at + lasts,
        }
    # A part that was fetched later stays, whoever writes last.
    bulk.insert(
        tx,
        "cached_parts AS held",
        [rows[key] for key in sorted(rows)],
        "ON CONFLICT (provider, part, key) DO UPDATE SET value = excluded.value, fetched_at = excluded.fetched_at,"
        " expires_at = excluded.expires_at WHERE held.fetched_at < excluded.fetched_at",
    )


def forget_expired(tx: Connection, now: datetime) -> int:
    """Delete what has expired; returns how many."""
    return tx.execute(delete(CachedPart).where(CachedPart.expires_at <= now)).rowcount
