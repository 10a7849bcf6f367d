"""What Slack sends when a person presses a button of ours or sends a form (Slack docs, Handling user interaction)."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from adapters.slack import cards, forms
from adapters.slack.client import SlackClient
from adapters.slack.signature import verify
from revpipe.errors import BadPayload, Permanent, Unauthorised
from revpipe.messenger import Card, Press
from revpipe.ports import Gate

OTHER: Final = "other"
WITHIN: Final = (0.8, 1.5)
"""Seconds to connect and to answer: what is left of the three that a press may take."""
_BUTTONS: Final = {cards.APPROVE: "approve", cards.EDIT: "edit", cards.REJECT: "reject"}
_FORMS: Final = {forms.SEND_EDIT: "send_edit", forms.SEND_REJECT: "send_reject"}


class PressSettings(Protocol):
    """What this adapter needs to know of a deployment."""

    @property
    def slack_bot_token(self) -> str | None: ...
    @property
    def slack_base_url(self) -> str: ...
    @property
    def slack_signing_secret(self) -> Sequence[str]: ...
    @property
    def slack_app_id(self) -> str | None: ...
    @property
    def slack_team_id(self) -> str | None: ...


class SlackPresses:
    """Reads presses, and opens the forms that some of them ask for."""

    def __init__(self, settings: PressSettings, gate: Gate) -> None:
        self._settings = settings
        self._client = SlackClient(settings.slack_bot_token, settings.slack_base_url, gate, WITHIN)

    def read(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Press:
        """The press in a request. Raises Unauthorised, SourceNotConfigured if no secret is set, BadPayload."""
        signature = verify(self._settings.slack_signing_secret, body, headers, now)
        try:
            form = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
        except ValueError as error:
            raise BadPayload("not_a_form", "the body is no form") from error
        if "payload" not in form:
            return Press(OTHER, signature, "", "")
        try:
            payload = json.loads(form["payload"][0])
        except (ValueError, RecursionError) as error:
            raise BadPayload("not_json", "the form's payload is not JSON") from error
        if not isinstance(payload, dict):
            raise BadPayload("not_json", "the form's payload is no JSON object")
        self._check_origin(payload)
        return _press(payload, signature)

    def open_form(self, press: Press, card: Card) -> None:
        """Show the form that the press asks for. Raises the errors of a call; the trigger holds for three seconds."""
        if not press.trigger:
            raise Permanent("slack sent no trigger with the press")
        view = forms.edit_form(card) if press.kind == "edit" else forms.reject_form(card)
        self._client.open_view(press.trigger, view)

    def refusal(self, press: Press, text: str, field: str | None = None) -> Mapping[str, Any]:
        """A form's answer that keeps it open with an error at one of its inputs, or turns it into the text alone."""
        if field is not None and field in press.fields:
            block = field if press.kind == "send_reject" else f"{forms.PARAM}{field}"
            return {"response_action": "errors", "errors": {block: text[:150]}}
        return {"response_action": "update", "view": forms.told(text)}

    def _check_origin(self, payload: Mapping[str, Any]) -> None:
        """The signature is the app's already; an app can be installed in several workspaces."""
        app, team = self._settings.slack_app_id, self._settings.slack_team_id
        if app and payload.get("api_app_id") != app:
            raise Unauthorised("slack: the press is of another app")
        if team and _team(payload) != team:
            raise Unauthorised("slack: the press is of another workspace")


def build_presses(settings: PressSettings, gate: Gate) -> SlackPresses:
    """What reads presses in this deployment; opens nothing."""
    return SlackPresses(settings, gate)


def _press(payload: Mapping[str, Any], signature: bytes) -> Press:
    user = _id(_part(payload, "user").get("id"))
    press = partial(Press, fingerprint=signature, team=_team(payload), user=user)
    trigger = _id(payload.get("trigger_id")) or None
    if payload.get("type") == "view_submission":
        view = _part(payload, "view")
        action_id, version = _value(view.get("private_metadata"))
        kind = _FORMS.get(str(view.get("callback_id")), OTHER) if action_id else OTHER
        fields = forms.texts_in(_part(_part(view, "state"), "values"))
        return press(kind, action_id=action_id, version=version, trigger=trigger, fields=fields)
    pressed = payload.get("actions")
    first = pressed[0] if isinstance(pressed, list) and pressed and isinstance(pressed[0], dict) else {}
    if payload.get("type") != "block_actions" or first.get("action_id") not in _BUTTONS:
        return press(OTHER)
    action_id, version = _value(first.get("value"))
    place = _id(_part(payload, "channel").get("id")) or None
    kind = _BUTTONS[first["action_id"]] if action_id else OTHER
    return press(kind, action_id=action_id, version=version, trigger=trigger, place=place)


def _team(payload: Mapping[str, Any]) -> str:
    """The person's own workspace; that of the channel may be another one's."""
    return _id(_part(payload, "user").get("team_id") or _part(payload, "team").get("id"))


def _id(told: Any) -> str:
    """A name that Slack gives something, empty for what can be none and no ledger could keep."""
    name = str(told or "")
    return name if name.isascii() and name.isprintable() else ""


def _part(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, Mapping) else {}


def _value(told: Any) -> tuple[uuid.UUID | None, int]:
    """Action and version in a button's value; it was signed by Slack, but a message is whoever's may post as us."""
    name, _, version = str(told or "").partition(":")
    try:
        return uuid.UUID(name), int(version)
    except ValueError:
        return None, 0
