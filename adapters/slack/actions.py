"""Alerts to a Slack channel."""

import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from adapters.slack.blocks import alert_blocks, fallback_text
from adapters.slack.client import SlackClient
from revpipe.errors import EffectUnknown, Permanent, RevpipeError, Transient
from revpipe.ports import Effect, Gate, Order

EVENT_TYPE: Final = "revpipe_action"
CLOCK_SLACK: Final = timedelta(minutes=2)
"""How far our clock may be off Slack's when we look for what we posted."""
_CONVERSATION_ID: Final = re.compile(r"[CGD][A-Z0-9]{2,}")
_PARAMS: Final = frozenset({"channel", "title", "text", "fields", "link"})


class SlackSettings(Protocol):
    """What this adapter needs to know of a deployment."""

    @property
    def slack_bot_token(self) -> str | None: ...
    @property
    def slack_default_channel(self) -> str | None: ...
    @property
    def slack_base_url(self) -> str: ...


class SlackActions:
    """Posts `send_alert` actions.

    Slack takes no idempotency key, so each message carries the action's key in its metadata, and `find` looks
    for it in the channel's history (Slack docs, Using message metadata). An alert that somebody deleted in
    between can't be told from one that never came.
    """

    name = "slack"
    types = ("send_alert",)
    batch = 1
    settle = timedelta(seconds=30)

    def __init__(self, client: SlackClient, default_channel: str | None) -> None:
        self._client = client
        self._default_channel = default_channel

    def check(self, type: str, params: Mapping[str, Any]) -> None:
        """Raise Permanent, saying what to change, if the params of an alert can't be carried out."""
        if type not in self.types:
            raise Permanent(f"slack does not know the action type {type!r}; it knows {', '.join(self.types)}")
        if unknown := sorted(set(params) - _PARAMS):
            raise Permanent(f"send_alert has no {', '.join(unknown)}; it takes {', '.join(sorted(_PARAMS))}")
        title, text, fields = params.get("title"), params.get("text"), params.get("fields")
        if not isinstance(title, str) or not title.strip():
            raise Permanent("send_alert needs a title: a text that is not empty")
        if text is not None and not isinstance(text, str):
            raise Permanent("send_alert's text must be a text")
        if fields is not None and not isinstance(fields, Mapping):
            raise Permanent("send_alert's fields must be a mapping of label to value")
        for name in ("channel", "link"):
            if params.get(name) is not None and not isinstance(params[name], str):
                raise Permanent(f"send_alert's {name} must be a text, or left out")

    def perform(self, orders: Sequence[Order]) -> Mapping[uuid.UUID, Effect | RevpipeError]:
        """Post one message for each order; each has its own outcome."""
        outcomes: dict[uuid.UUID, Effect | RevpipeError] = {}
        for order in orders:
            try:
                outcomes[order.action_id] = self._post(order)
            except RevpipeError as error:
                outcomes[order.action_id] = error
        return outcomes

    def find(self, order: Order) -> Effect | None:
        """The message an earlier try posted, None if the channel's history surely holds none.

        Raises EffectUnknown when the history can't be read to the end, Transient when not now.
        """
        try:
            channel = self._channel(order)
        except Permanent as error:
            raise EffectUnknown(f"where the alert was posted can't be told: {error}") from error
        if not _CONVERSATION_ID.fullmatch(channel):
            raise EffectUnknown(
                f"the history of {channel!r} can't be read by that name: use the channel's id (C…) instead"
            )
        try:
            for message in self._client.history(channel, *_window(order)):
                if _carries(message, order.key):
                    return _effect(channel, str(message["ts"]))
        except Permanent as error:
            raise EffectUnknown(f"whether the alert was posted can't be told: {error}") from error
        return None

    def _post(self, order: Order) -> Effect:
        self.check(order.type, order.params)
        message = {
            "text": fallback_text(order.params),
            "mrkdwn": False,
            "blocks": alert_blocks(order.params, order.key),
            "metadata": {"event_type": EVENT_TYPE, "event_payload": {"action_id": order.key}},
            "unfurl_links": False,
            "unfurl_media": False,
        }
        answer = self._client.post_message(self._channel(order), message)
        channel, ts = answer.get("channel"), answer.get("ts")
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise Transient("slack took the message but did not say where it stands", ambiguous=True)
        return _effect(channel, ts)

    def _channel(self, order: Order) -> str:
        channel = (order.params.get("channel") or "").strip() or self._default_channel
        if not channel:
            raise Permanent("the alert names no channel: name one in the rule, or set SLACK_DEFAULT_CHANNEL")
        return channel


def build_actions(settings: SlackSettings, gate: Gate) -> SlackActions:
    """The adapter of this deployment; opens nothing."""
    client = SlackClient(settings.slack_bot_token, settings.slack_base_url, gate)
    return SlackActions(client, settings.slack_default_channel)


def _window(order: Order) -> tuple[str, str | None]:
    """When the message can have been posted, as Slack writes times; no later end if the last call's time is unknown.

    Without that end a busy channel's messages of hours since would all have to be read.
    """
    since = (order.first_tried_at or order.created_at) - CLOCK_SLACK
    until = order.tried_at + SlackActions.settle + CLOCK_SLACK if order.tried_at else None
    return _ts(since), _ts(until) if until else None


def _ts(at: datetime) -> str:
    return f"{at.timestamp():.6f}"


def _effect(channel: str, ts: str) -> Effect:
    return Effect(external_id=ts, detail={"channel": channel, "ts": ts})


def _carries(message: Mapping[str, Any], key: str) -> bool:
    """Whether a message of the history is ours for this action. Raises EffectUnknown if it hides its key."""
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return False
    payload = metadata.get("event_payload")
    if not isinstance(payload, Mapping) or "action_id" not in payload:
        raise EffectUnknown("slack shows a message of ours without the action it belongs to")
    return bool(payload["action_id"] == key)
