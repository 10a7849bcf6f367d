"""What a link in an e-mail shows, and what a person decides there. To look never decides: scanners open links."""

from dataclasses import dataclass

from sqlalchemy import Connection

from revpipe import approvals
from revpipe.actors import Actor
from revpipe.db import sql, transaction
from revpipe.messenger import Card
from revpipe.notifying import tokens
from revpipe.notifying.cards import card_of, clock, outcome
from revpipe.notifying.tokens import Token
from revpipe.services import Services


@dataclass(frozen=True, slots=True)
class Page:
    """What a link leads to. While `may` is set, its two buttons decide on what is shown; else `why_not` says why."""

    card: Card
    until: str
    may: bool
    why_not: str | None


def look(services: Services, token: str) -> Page | None:
    """The page of a link, None for one that was never given out or is too old, or whose action is forgotten.

    None as well for a person who is no active user any more: they are shown nothing, either.
    """
    with transaction(services.engine) as tx:
        found = tokens.find(tx, token, services.clock.now())
        view = approvals.view(tx, found.action_id) if found else None
        if found is None or view is None or _active(tx, found) is None:
            return None
        why_not = _why_not(found, view)
    card = card_of(view, view.approval_id, found.user_id, services, found.created_at)
    return Page(card, clock(view.expires_at), why_not is None, why_not)


def decide(services: Services, token: str, what: str, reason: str | None) -> None:
    """`approve` or `reject` in the name of the link's person, once; the link is used up in the same transaction.

    Raises NoApproval for a link that leads nowhere, TokenUsed, and what revpipe.approvals raises.
    """
    now = services.clock.now()
    with transaction(services.engine) as tx:
        found = tokens.find(tx, token, now)
        if found is None:
            raise approvals.NoApproval("this link leads nowhere: it is too old, or was never given out")
        email = _active(tx, found)
    if email is None:
        raise approvals.NotAllowed("whoever this link was for is no active user any more")

    def used_up(tx: Connection) -> None:
        tokens.use(tx, found, what, now)

    actor = Actor(email, "email", found.user_id)
    if what == "approve":
        approvals.approve(services, found.action_id, actor, found.version, also=used_up)
    else:
        approvals.reject(services, found.action_id, actor, reason, found.version, also=used_up)


def _why_not(token: Token, view: approvals.View) -> str | None:
    told = outcome(view, token.user_id, token.created_at)
    if told is not None:
        return told
    if token.used_at is not None:
        return f"This link was used already, to {token.used_for}."
    if token.version != view.version:
        return (
            "It was edited since this link was sent: a newer e-mail has the link for what you see here now."
            " Nothing was sent."
        )
    return None


def _active(tx: Connection, token: Token) -> str | None:
    """The present e-mail of the link's person, if they may still act at all."""
    return tx.execute(sql("SELECT email FROM users WHERE user_id = :id AND active"), {"id": token.user_id}).scalar()
