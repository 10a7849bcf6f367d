"""What the core expects of the ways on which people are asked for approvals, as a Protocol."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Card:
    """All that one recipient is to see of one approval; texts are as they came and escaped by nobody yet.

    `key` is the request's own and unique for ever. `outcome` says in a sentence what became of it, or who is asked
    instead; while it is None the recipient may decide. `page` is the approval's page in the console, `link` the
    recipient's own one-time link.
    """

    key: str
    action_id: uuid.UUID
    version: int
    type: str
    params: Mapping[str, Any]
    why: str
    source: str
    """Who proposed it: `rule ID`, or the language model, or the fallback."""
    deal_id: str | None
    deal_name: str | None
    asked: str
    """Who is asked, and how many of them have agreed if it takes several."""
    expires_at: datetime
    at_expiry: str
    risk: str | None = None
    editable: tuple[str, ...] = ()
    """Params that this person may change."""
    edited: str | None = None
    """Who edited it last, and when; None for the first version."""
    outcome: str | None = None
    page: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A person as the vendor knows them, by an e-mail that the vendor has confirmed; `place` is where they read."""

    team: str
    user: str
    place: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message where it stands: `place` and `ref` name it, `thread` the message in whose thread it is."""

    place: str
    ref: str
    thread: str | None = None


class Messenger(Protocol):
    """One way to people. Each method calls the vendor, and raises the errors of revpipe.errors."""

    name: str
    settle: timedelta
    """How long after a call its message may be missing from what `find` sees."""
    changes: bool
    """Whether what was sent can be changed: without it, only new versions are sent, and no outcome."""

    def account(self, email: str) -> Account | None:
        """Who has this e-mail there, None if nobody does for sure."""

    def post(self, card: Card, place: str, thread: str | None) -> Sent:
        """Send it. Raises Transient with `ambiguous` set if it may have arrived all the same."""

    def find(self, card: Card, place: str, thread: str | None, since: datetime) -> Sent | None:
        """What an earlier try sent, None if there surely is nothing. Raises EffectUnknown if unsure."""

    def change(self, card: Card, sent: Sent) -> None:
        """Let the message say what the card says now. To do it twice does no harm."""

    def whisper(self, place: str, user: str, text: str) -> None:
        """Say something in `place` that only `user` sees."""


@dataclass(frozen=True, slots=True)
class Press:
    """What a person did with a message of ours: pressed a button, or sent a form.

    `kind` is approve, edit, reject, send_edit, send_reject, or other (nothing to be done). `fingerprint` is the same
    for the same request only. `place` is the channel of the message, None for a form's. `fields` are a form's texts.
    """

    kind: str
    fingerprint: bytes
    team: str
    user: str
    action_id: uuid.UUID | None = None
    version: int = 0
    trigger: str | None = None
    place: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


class Presses(Protocol):
    """What comes back from people by way of their chat."""

    def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Press:
        """The press in a request. Raises Unauthorised, SourceNotConfigured if no secret is set, BadPayload."""

    def open_form(self, press: Press, card: Card) -> None:
        """Show the form to edit or to reject; within three seconds of the press, or not at all."""

    def refusal(self, press: Press, text: str, field: str | None = None) -> Mapping[str, Any]:
        """The answer to a form that was not accepted: it stays open and shows why, at `field` if that is there."""
