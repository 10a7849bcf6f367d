"""What happened to a request for approval, in words."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from revpipe.story.words import span, value

WHAT: Final = ("approval_requested", "shown", "edited", "agreed", "escalated", "cancelled")
"""Rows of the trail that are told here; who approved and rejected stands with the action."""
_WAYS: Final = {"cli": "at the terminal", "email": "by e-mail", "api": "by the API", "policy": "by policy"}


def facts(what: str, detail: Mapping[str, Any]) -> Iterator[str]:
    """What only one kind of row tells."""
    if what == "approval_requested":
        if detail.get("expires_h") is not None:
            yield f"a person has {span(detail['expires_h'] * 3600)} to decide"
        if detail.get("of"):
            yield f"asked of {detail['of']}, risk {detail.get('risk', 'not known')}"
        if detail.get("delivered"):
            yield f"told {way(detail['delivered'])} after {span(detail['delivered'].get('took_ms', 0) / 1000)}"
    elif what == "escalated":
        yield f"nobody answered: asked of {str(detail.get('to')).replace('_', '-')}"
        yield f"they have {span(detail.get('expires_h', 0) * 3600)}"
    elif what == "cancelled":
        yield from _changed(detail)
    else:
        yield way(detail)
    if what == "edited":
        yield f"version {detail.get('version')}: {', '.join(detail.get('fields', ()))}"
    if what == "agreed":
        yield f"{detail.get('agreed')} of {detail.get('needed')}"


def joined(trail: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The trail with each request and its first delivery as one row: together they are one thing to a reader."""
    rows = list(trail)
    delivered: dict[Any, Mapping[str, Any]] = {}
    for row in rows:
        if row["what"] == "approval_delivered":
            delivered.setdefault(row["action_id"], row)
    asked = {row["action_id"] for row in rows if row["what"] == "approval_requested"}
    for row in rows:
        first = delivered.get(row["action_id"])
        if first is not None and row["what"] == "approval_requested":
            yield {**row, "detail": {**row["detail"], "delivered": first["detail"]}}
        elif row is not first or row["action_id"] not in asked:
            yield row


def way(detail: Mapping[str, Any]) -> str:
    """By which way somebody spoke."""
    said = str(detail.get("way"))
    return _WAYS.get(said, f"in {said}")


def _changed(detail: Mapping[str, Any]) -> Iterator[str]:
    if detail.get("was") is not None or detail.get("is") is not None:
        yield f"was {value(detail.get('was'), 40)}, is {value(detail.get('is'), 40)}"
