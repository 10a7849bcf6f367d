"""The one spelling of a record, so that its digest is the same wherever and whenever it is computed (docs/audit.md)."""

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def text(value: Any) -> str:
    """`value` as JSON in its one spelling: names sorted, no blanks, letters as they are, times and ids as `plain`.

    Raises ValueError for a number that is none, and TypeError for what JSON has no form for.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_spelt_out
    )


def plain(value: Any) -> Any:
    """`value` with times as `stamp` and ids in their usual form, all the way down."""
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def _spelt_out(value: Any) -> Any:
    """What JSON has no form for; all the rest is left to the encoder, which is far faster than a walk of ours."""
    spelt = plain(value)
    if spelt is value:
        raise TypeError(f"{type(value).__name__} can't be spelt")
    return spelt


def stamp(at: datetime) -> str:
    """A time in UTC to the microsecond, always of the same length: 2026-01-15T09:00:00.000000Z."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def moment(stamped: str) -> datetime:
    """The time of a `stamp`, or of any other ISO 8601 text with an offset. Raises ValueError for anything else."""
    at = datetime.fromisoformat(stamped)
    if at.tzinfo is None:
        raise ValueError(f"{stamped!r} has no offset")
    return at.astimezone(UTC)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970, as the triggers of the ledger count them."""
    return (at - EPOCH) // _MICROSECOND


def at_micros(count: int) -> datetime:
    """The time so many microseconds after 1970."""
    return EPOCH + count * _MICROSECOND


def sha256(spelt: str) -> str:
    """The SHA-256 of a text's UTF-8, in hex digits."""
    return hashlib.sha256(spelt.encode()).hexdigest()


def digest(kind: str, key: str, record: Mapping[str, Any]) -> str:
    """What stands for a record in its seal. Kind and key are in it, so that no record can take another's place."""
    return sha256(text([kind, key, record]))
