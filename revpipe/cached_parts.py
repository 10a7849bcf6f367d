"""Parts fetched lately, in the ledger: a burst of events on one deal asks its vendor once."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert

from revpipe import contexts
from revpipe.context_needs import ContextNeeds
from revpipe.models import CachedPart
from revpipe.ports import Part
from revpipe.signals import Signal


def key_of(signal: Signal) -> str | None:
    """What a cached part hangs on; None where only the signal itself could be the key."""
    if not (signal.deal_id or signal.account_id or signal.contact_id):
        return None
    return f"{signal.deal_id or ''}|{signal.account_id or ''}|{signal.contact_id or ''}"


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
    rows = tx.execute(
        select(CachedPart.part, CachedPart.key, CachedPart.value, CachedPart.fetched_at).where(
            CachedPart.key.in_(wanted), CachedPart.expires_at > now
        )
    ).all()
    by_key: dict[str, list[Any]] = {}
    for row in rows:
        by_key.setdefault(row.key, []).append(row)
    for signal in signals:
        for row in by_key.get(keys[signal.signal_id] or "", ()):
            if row.part in needs.of(signal).wanted and row.fetched_at >= signal.fired_at:
                found[signal.signal_id].update(contexts.load({row.part: row.value}, contexts.SCHEMA_VERSION))


def remember(tx: Connection, fetched: Sequence[tuple[Signal, Part]], needs: ContextNeeds) -> None:
    """Keep what may serve other signals, for as long as config/sources.yaml says."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for signal, part in fetched:
        lasts = needs.cache.get(part.name)
        key = key_of(signal)
        if lasts is None or key is None or not part.complete or part.value is None:
            continue
        rows[part.provider, part.name, key] = {
            "provider": part.provider,
            "part": part.name,
            "key": key,
            "value": contexts.dump({part.name: part})[part.name],
            "fetched_at": part.fetched_at,
            "expires_at": part.fetched_at + lasts,
        }
    if not rows:
        return
    statement = insert(CachedPart).values([rows[key] for key in sorted(rows)])
    newer = statement.excluded
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["provider", "part", "key"],
            set_={"value": newer.value, "fetched_at": newer.fetched_at, "expires_at": newer.expires_at},
            where=CachedPart.fetched_at < newer.fetched_at,
        )
    )


def forget_expired(tx: Connection, now: datetime) -> int:
    """Delete what has expired; returns how many."""
    return tx.execute(delete(CachedPart).where(CachedPart.expires_at <= now)).rowcount
