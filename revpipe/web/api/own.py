"""What of a list is shown to somebody who sees their own deals only."""

import uuid

from sqlalchemy import Connection

from revpipe.lists.owners import owner_of
from revpipe.web import access


def owners() -> frozenset[str] | None:
    """The CRM's owner ids whose deals the caller may see; None: all of them."""
    return access.current_user().owners if access.own_only() else None


def demand(tx: Connection, signal_id: uuid.UUID) -> None:
    """Raises Forbidden if the caller sees own deals only, and the signal is not of one."""
    if access.own_only():
        access.must_own(owner_id=owner_of(tx, signal_id))
