"""The suppression list: addresses and whole domains that nothing is sent to."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe.db import sql
from revpipe.errors import Permanent
from revpipe.models.suppression import REASONS

_ADDRESS: Final = re.compile(r"(?:[^\s@<>,;\"]+@)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z0-9-]{2,}")
LONGEST: Final = 254
"""Characters of an address, as mail knows them."""


def of(tx: Connection, addresses: Iterable[str]) -> dict[str, str]:
    """Those of `addresses` (lower case) that are on the list, by themselves or by their domain, with the reason."""
    keys = {address: _keys(address) for address in addresses}
    wanted = sorted({key for some in keys.values() for key in some})
    if not wanted:
        return {}
    rows = tx.execute(sql("SELECT address, reason FROM suppressions WHERE address = ANY(:keys)"), {"keys": wanted})
    listed = {row.address: str(row.reason) for row in rows}
    found = {address: next((listed[key] for key in some if key in listed), None) for address, some in keys.items()}
    return {address: reason for address, reason in found.items() if reason}


def add(tx: Connection, address: str, reason: str, by: str, now: datetime) -> bool:
    """Put an address or a domain on the list; False if it is there already, whose reason then stays.

    Raises Permanent for what is neither, and for a reason that there is not.
    """
    if reason not in REASONS:
        raise Permanent(f"{reason!r} is no reason; there are: {', '.join(REASONS)}")
    done = tx.execute(
        text(
            "INSERT INTO suppressions (address, reason, added_by, added_at) VALUES (:address, :reason, :by, :now)"
            " ON CONFLICT DO NOTHING"
        ),
        {"address": _sound(address), "reason": reason, "by": by, "now": now},
    )
    return done.rowcount > 0


def remove(tx: Connection, address: str) -> bool:
    """Take an address or a domain off the list; False if it was not on it. Raises Permanent for what is neither."""
    done = tx.execute(text("DELETE FROM suppressions WHERE address = :address"), {"address": _sound(address)})
    return done.rowcount > 0


def listing(tx: Connection, limit: int, after: str = "") -> list[dict[str, Any]]:
    """The list in alphabetical order, from behind `after` on."""
    rows = tx.execute(
        text("SELECT * FROM suppressions WHERE address > :after ORDER BY address LIMIT :limit"),
        {"after": after, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]


def is_address(text: str) -> bool:
    """Whether a text is one e-mail address, in lower case and with nothing round it."""
    return "@" in text and len(text) <= LONGEST and _ADDRESS.fullmatch(text) is not None


def _sound(address: str) -> str:
    found = address.strip().lower().removeprefix("@")
    if len(found) > LONGEST or not _ADDRESS.fullmatch(found):
        raise Permanent(f"{address[:80]!r} is neither an e-mail address nor a domain")
    return found


def _keys(address: str) -> list[str]:
    """The address, its domain and the domains above, the most particular first."""
    domain = address.rpartition("@")[2]
    labels = domain.split(".")
    return [address, *(".".join(labels[at:]) for at in range(len(labels) - 1))]
