"""Pages of lists: what is asked for, and the opaque cursors by which one page follows another."""

import base64
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from flask import abort
from marshmallow import RAISE, Schema, fields, validate

from revpipe.lists.walks import Mark, Page
from revpipe.web.api.fields import Count

DEFAULT: Final = 50
MOST: Final = 200
_CURSOR: Final = r"^[A-Za-z0-9_-]{1,200}$"
NO_PAGE: Final = (
    "No page begins there: `after` takes the `next` of a page of this very list. Leave it out to begin anew."
)


class Query(Schema):
    """What every list may be asked; each adds its filters."""

    class Meta:
        """A filter that is misspelt is told, not ignored."""

        unknown = RAISE

    limit = Count(
        load_default=DEFAULT,
        validate=validate.Range(1, MOST, error="Write a number from {min} to {max}."),
        metadata={"description": "How many at the most."},
    )
    after = fields.String(
        validate=validate.Regexp(_CURSOR, error="Write the `next` of the page before."),
        metadata={"description": "Where to go on: the `next` of the page before."},
    )


def page_of(item: type[Schema], name: str) -> type[Schema]:
    """The schema of a page of items."""
    next_ = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Ask again with this as `after` for what follows; null where the list ends. A page may hold"
            " fewer items than `limit`, even none, although more follow: what is asked for was rare."
        },
    )
    items = fields.List(fields.Nested(item), required=True)
    made: type[Schema] = Schema.from_dict({"items": items, "next": next_}, name=name)
    return made


def cursor(kind: str, at: datetime, id_: uuid.UUID | str) -> str:
    """Where a page of a list of this kind ended, as clients carry it."""
    text = f"{kind} {at.astimezone(UTC).isoformat()} {id_}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position(kind: str, given: str | None) -> tuple[datetime, str] | None:
    """The time and id in a cursor of a list of this kind. Aborts with 404 where there are none in it."""
    if given is None:
        return None
    try:
        text = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode()
        found, at, id_ = text.split(" ")
        moment = datetime.fromisoformat(at)
    except ValueError:
        abort(404, NO_PAGE)
    if found != kind or moment.tzinfo is None:
        abort(404, NO_PAGE)
    return moment, id_


def mark(kind: str, given: str | None) -> Mark | None:
    """As `position`, where ids are ours."""
    found = position(kind, given)
    if found is None:
        return None
    try:
        return Mark(found[0], uuid.UUID(found[1]))
    except ValueError:
        abort(404, NO_PAGE)


def answer(kind: str, page: Page) -> dict[str, Any]:
    """A page as its schema shows it."""
    return {"items": page.items, "next": cursor(kind, page.next.at, page.next.id) if page.next else None}


def cut(rows: Iterable[Mapping[str, Any]], limit: int, mark_of: Callable[[Mapping[str, Any]], Mark]) -> Page:
    """A page of rows of which one more than `limit` was asked for."""
    kept = [dict(row) for row in rows]
    return Page(kept[:limit], mark_of(kept[limit - 1]) if len(kept) > limit else None)
