"""What the inbox shows: which requests, which of them is looked at, and a mark that changes whenever any of it does."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from revpipe import queries
from revpipe.approvals import View
from revpipe.web.access import current_user
from revpipe.web.console import shown, whose
from revpipe.web.console.shown import Shown

PAGE: Final = 50


@dataclass(frozen=True, slots=True)
class Inbox:
    """The requests that wait for this person, the first to expire in front; `more` tells that there are others."""

    waiting: tuple[Shown, ...]
    more: bool
    mark: str

    def after(self, action_id: uuid.UUID) -> uuid.UUID | None:
        """The request below one, or else the first other one."""
        ids = [one.view.action_id for one in self.waiting]
        others = [one for one in ids if one != action_id]
        below = ids[ids.index(action_id) + 1 :] if action_id in ids else []
        return next(iter(below or others), None)


def mark(tx: Connection) -> str:
    """An entity tag for whatever this person is shown of approvals: the cheap question that polling asks."""
    user = current_user()
    # Whoever was given another role or other deals must not be left looking at the former ones.
    text = f"{user.user_id} {user.role} {sorted(user.owners)} {queries.approvals_changed(tx)}"
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def read(tx: Connection, now: datetime) -> Inbox:
    """The inbox as it is now."""
    known = mark(tx)
    found = whose.waiting(tx, PAGE + 1)
    return Inbox(tuple(shown.of(view, now) for view in found[:PAGE]), len(found) > PAGE, known)


def alike(one: View, waiting: Sequence[Shown]) -> list[Shown]:
    """The requests that may be approved together with this one, itself among them; none if it is alone."""
    kind = shown.alike(one)
    if kind is None:
        return []
    found = [other for other in waiting if shown.alike(other.view) == kind]
    return found if len(found) > 1 else []
