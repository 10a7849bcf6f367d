"""Bringing requests up to date, each at its vendor: claim, look for what an earlier try sent, send or change."""

import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from revpipe import approvals, feed, stage, work
from revpipe.crash import crash_point
from revpipe.db import sql, transaction
from revpipe.errors import EffectUnknown, RevpipeError
from revpipe.hold import Hold
from revpipe.messenger import Card, Messenger, Sent
from revpipe.notifying import records, slack_people, tokens
from revpipe.notifying.cards import card_of
from revpipe.notifying.records import Ended, Shown, Trouble
from revpipe.services import Services
from revpipe.work import REQUESTS, Chunk, Claim

log = structlog.get_logger(__name__)

_MARK: Final = (
    "UPDATE approval_requests SET maybe_sent = true, place = :place, thread = :thread, tried_at = :now,"
    " first_tried_at = coalesce(first_tried_at, :now) WHERE request_id = :id"
)
_ROOT: Final = (
    "SELECT ref FROM approval_requests WHERE deal_id = :deal_id AND place = :place AND ref IS NOT NULL"
    " AND thread IS NULL AND way = 'slack' AND note IS NULL AND request_id <> :id ORDER BY created_at LIMIT 1"
)


def run(chunk: Chunk, services: Services) -> None:
    """Let each recipient of the chunk see what its approval is now."""
    with transaction(services.engine, durable=False) as tx:
        asked_at, now = time.monotonic(), services.clock.now()
        held = work.claim(tx, REQUESTS, "notify", chunk, now, "", services.lease)
        isolated, behind = stage.quarantines(held), feed.behind(held)
        held = held.only(records.stop_hopeless(tx, held.rows, services, now))
    crash_point("notify.claimed", held.rows)
    offers: list[str] = []
    if held.rows:
        with stage.given_back(held, services), stage.renewed(held, services, asked_at) as hold:
            for row in held.rows:
                one = held.only([row])
                offers += records.record(one, row, _outcome(one, row, hold, services), services)
    crash_point("notify.recorded", held.rows)
    feed.offer(services, [*isolated, *behind, *offers])


def _outcome(held: Claim, row: Mapping[str, Any], hold: Hold, services: Services) -> records.Outcome:
    messenger = services.messengers[row["way"]]
    try:
        if row["note"] is not None:
            messenger.whisper(row["address"], row["ref"], row["note"])
            return Ended("said")
        return _shown(held, row, messenger, hold, services)
    except RevpipeError as error:
        return Trouble(error)
    except Exception as error:
        # A fault of ours in one request is that request's to bear; it may have come after the vendor has acted.
        log.exception("messenger_broke", way=row["way"])
        return Trouble(error, unsure=True)


def _shown(
    held: Claim, row: Mapping[str, Any], messenger: Messenger, hold: Hold, services: Services
) -> records.Outcome:
    with transaction(services.engine) as tx:
        view = approvals.view(tx, row["action_id"])
    if view is None:
        return Ended("no_approval")
    if row["ref"] is not None and messenger.changes:
        card = _card(view, row, services)
        messenger.change(card, Sent(row["place"], row["ref"], row["thread"]))
        return Shown(view.revision, view.version, Sent(row["place"], row["ref"], row["thread"]))
    if row["ref"] is not None and (view.state != "open" or row["shown_version"] == view.version):
        # A letter can't be called back, and an outcome is no reason to write another one.
        return Shown(view.revision, view.version, Sent(row["place"], row["ref"]))
    card = _card(view, row, services)
    if row["maybe_sent"]:
        found = _look(row, messenger, card, services)
        if found is not None:
            return found
    if card.outcome is not None:
        return Ended("nothing_left_to_ask")
    return _send(held, row, messenger, view, hold, services)


def _look(row: Mapping[str, Any], messenger: Messenger, card: Card, services: Services) -> records.Outcome | None:
    """What an earlier try of unknown end did; None if it surely did nothing, so that it may be sent again."""
    try:
        sent = messenger.find(card, row["place"], row["thread"], row["first_tried_at"])
    except EffectUnknown as error:
        return Trouble(error)
    if sent is not None:
        # What it says may be of then: it is brought up to date at once, as any other message is.
        return Shown(-1, row["shown_version"] or 0, sent)
    settled = row["tried_at"] + messenger.settle
    if services.clock.now() < settled:
        return records.NotYet(settled)
    return None


def _send(
    held: Claim, row: Mapping[str, Any], messenger: Messenger, view: approvals.View, hold: Hold, services: Services
) -> records.Outcome:
    place = _place(row, messenger, services)
    asked_at = time.monotonic()
    with transaction(services.engine) as tx:
        now = services.clock.now()
        if not work.renew(tx, held, now):
            return records.Lost()
        thread = _thread(tx, row, place)
        tx.execute(sql(_MARK), {"place": place, "thread": thread, "now": now, "id": row["request_id"]})
        link = None
        if not messenger.changes and services.settings.public_url:
            token = tokens.give(tx, view, row["user_id"], row["address"], now)
            link = f"{services.settings.public_url}/a/{token}"
    hold.begin(asked_at)
    crash_point("notify.before_effect", held.rows)
    card = _card(view, row, services, link)
    try:
        sent = messenger.post(card, place, thread)
    except RevpipeError as error:
        return Trouble(error, unsure=getattr(error, "ambiguous", False), called=True)
    crash_point("notify.after_effect", held.rows)
    return Shown(view.revision, view.version, sent)


def _card(view: approvals.View, row: Mapping[str, Any], services: Services, link: str | None = None) -> Card:
    # As records.py counts what is delivered.
    reaches = row["way"] != "email" and view.approver.get("user_id") in (None, row["user_id"])
    asked_at = row["created_at"]
    return card_of(view, row["request_id"], row["user_id"], services, asked_at, link, reaches=reaches)


def _place(row: Mapping[str, Any], messenger: Messenger, services: Services) -> str:
    if row["way"] != "slack":
        return str(row["address"])
    if "@" in row["address"]:
        return slack_people.place_of(services, messenger, row["address"])
    slack_people.acquaint(services, messenger)
    return str(row["address"])


def _thread(tx: Connection, row: Mapping[str, Any], place: str) -> str | None:
    """The deal's first message in this place, in whose thread the later ones stand."""
    if row["deal_id"] is None or row["way"] != "slack":
        return None
    found = tx.execute(sql(_ROOT), {"deal_id": row["deal_id"], "place": place, "id": row["request_id"]}).scalar()
    return str(found) if found else None
