"""Requests for approval in Slack: posted, found again after a lost answer, and changed to what became of them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.slack.actions import SlackSettings
from adapters.slack.blocks import escape
from adapters.slack.cards import blocks_of, text_of
from adapters.slack.client import NoSuchUser, SlackClient
from revpipe.errors import EffectUnknown, Permanent, Transient
from revpipe.messenger import Account, Card, Sent
from revpipe.ports import Gate

EVENT_TYPE: Final = "revpipe_approval"
CLOCK_SLACK: Final = timedelta(minutes=2)
"""How far our clock may be off Slack's when we look for what we posted."""


class SlackMessenger:
    """Posts cards. Slack takes no idempotency key, so each carries its own in its metadata."""

    name = "slack"
    settle = timedelta(seconds=10)
    changes = True

    def __init__(self, client: SlackClient) -> None:
        self._client = client

    def account(self, email: str) -> Account | None:
        """Who has this e-mail, confirmed to Slack; None for nobody, a guest bot, or somebody who has left."""
        try:
            user = self._client.user_by_email(email)
        except NoSuchUser:
            return None
        profile = user.get("profile") if isinstance(user.get("profile"), dict) else {}
        same = str((profile or {}).get("email") or email).lower() == email.lower()
        if not same or user.get("deleted") or user.get("is_bot") or user.get("is_email_confirmed") is False:
            return None
        user_id, team = user.get("id"), user.get("team_id")
        if not isinstance(user_id, str) or not isinstance(team, str):
            return None
        place = self._client.direct_channel(user_id)
        return Account(team, user_id, place) if place else None

    def post(self, card: Card, place: str, thread: str | None) -> Sent:
        """chat.postMessage, in the deal's thread if there is one and to be seen in the channel all the same."""
        message = {
            **_content(card),
            "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": card.key}},
            "mrkdwn": False,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if thread is not None:
            message |= {"thread_ts": thread, "reply_broadcast": True}
        answer = self._client.post_message(place, message)
        channel, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise Transient("slack took the message but did not say where it stands", ambiguous=True)
        return Sent(channel, ts, thread)

    def find(self, card: Card, place: str, thread: str | None, since: datetime) -> Sent | None:
        """The message with the card's key, None if there surely is none. Raises EffectUnknown, Transient."""
        oldest = f"{(since - CLOCK_SLACK).timestamp():.6f}"
        try:
            messages: Iterable[Mapping[str, Any]] = (
                self._client.replies(place, thread, oldest) if thread else self._client.history(place, oldest)
            )
            for message in messages:
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") != EVENT_TYPE:
                    continue
                if (metadata.get("event_payload") or {}).get("key") == card.key:
                    return Sent(place, str(message["ts"]), thread)
        except Permanent as error:
            raise EffectUnknown(f"whether the request was posted can't be told: {error}") from error
        return None

    def change(self, card: Card, sent: Sent) -> None:
        """chat.update: the message says what the card says now."""
        self._client.update(sent.place, sent.ref, _content(card))

    def whisper(self, place: str, user: str, text: str) -> None:
        """chat.postEphemeral."""
        self._client.ephemeral(place, user, escape(text))


def build_messenger(settings: SlackSettings, gate: Gate) -> SlackMessenger:
    """The messenger of this deployment; opens nothing."""
    return SlackMessenger(SlackClient(settings.slack_bot_token, settings.slack_base_url, gate))


def _content(card: Card) -> dict[str, Any]:
    return {"text": text_of(card), "blocks": blocks_of(card)}
