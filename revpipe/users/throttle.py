"""How often a password may be tried: counted before it is compared, so that tries at once do not outrun the count.

The counts are in the ledger, where they outlast a flush of Redis and hold for every web process.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

from sqlalchemy import Connection, Engine

from revpipe.db import sql, transaction
from revpipe.users.errors import TooManyTries

WINDOW: Final = timedelta(minutes=15)
OF_ACCOUNT: Final = 10
"""Tries against one account in WINDOW. Links and the provider stay open to its owner meanwhile."""
FROM_ADDRESS: Final = 50
"""Tries from one address in WINDOW: an office may stand behind it."""


def spend(engine: Engine, now: datetime, email: str, address: str) -> None:
    """Count one try against an account and from an address. Raises TooManyTries if either has had its share."""
    bounds = {_key("account", email.strip().lower()): OF_ACCOUNT, _key("address", _network(address)): FROM_ADDRESS}
    with transaction(engine) as tx:
        counts = [(_count(tx, now, key), most) for key, most in sorted(bounds.items())]
    waits = [(since + WINDOW - now).total_seconds() for (tries, since), most in counts if tries > most]
    if waits:
        raise TooManyTries(max(1, ceil(max(waits))))


def forgive(tx: Connection, emails: Sequence[str]) -> None:
    """Forget the tries against accounts whose owner has just signed in."""
    keys = sorted(_key("account", email.strip().lower()) for email in emails)
    tx.execute(sql("DELETE FROM sign_in_tries WHERE key = ANY(:keys)"), {"keys": keys})


def _count(tx: Connection, now: datetime, key: bytes) -> tuple[int, datetime]:
    row = tx.execute(
        sql(
            "INSERT INTO sign_in_tries AS t (key, since, tries) VALUES (:key, :now, 1)"
            " ON CONFLICT (key) DO UPDATE SET"
            " tries = CASE WHEN t.since <= :begun THEN 1 ELSE t.tries + 1 END,"
            " since = CASE WHEN t.since <= :begun THEN excluded.since ELSE t.since END"
            " RETURNING tries, since"
        ),
        {"key": key, "now": now, "begun": now - WINDOW},
    ).one()
    return row.tries, row.since


def _key(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}:{value}".encode("utf-8", "surrogatepass")).digest()


def _network(address: str) -> str:
    """An IPv6 user has a /64 to choose addresses from, so it counts as one."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return found.exploded[:19] if isinstance(found, IPv6Address) else address
