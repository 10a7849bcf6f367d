"""Slack's Web API, as far as we use it. Its errors come as HTTP 200 with `"ok": false`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import requests

from adapters.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpClient, retry_after
from revpipe.errors import CredentialsRefused, Permanent, RateLimited, RevpipeError, Transient
from revpipe.ports import Gate

VENDOR: Final = "slack"
PAGE: Final = 200
MAX_PAGES: Final = 50
PATIENCE: Final = 10.0
"""Seconds that a page of the history waits for its rate token: a look cut off midway would begin anew at page one."""
TIMEOUT: Final = (CONNECT_TIMEOUT, READ_TIMEOUT)
_AS_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}

# Slack docs, error lists of chat.postMessage and conversations.history.
_LIMITED: Final = frozenset({"ratelimited", "rate_limited"})
_PASSING: Final = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable"})
_CREDENTIALS: Final = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)
_ADVICE: Final[Mapping[str, str]] = {
    "not_in_channel": "invite the bot to the channel (/invite @its-name)",
    "channel_not_found": "check the channel's id; to a private channel the bot must be invited",
    "is_archived": "the channel is archived: unarchive it, or name another one",
    "restricted_action": "the workspace does not let the app post there: ask its admin",
    "invalid_blocks": "the message's blocks are malformed: this is a fault of revpipe, please report it",
    "msg_too_long": "shorten the rule's text",
    "msg_blocks_too_long": "shorten the rule's text, or name fewer fields",
    "no_text": "the rule renders an empty message",
}


class NoSuchUser(Permanent):
    """Nobody in the workspace has this e-mail."""


class MissingScope(CredentialsRefused):
    """The token is good, but lacks a scope for this method."""


class SlackClient:
    """One workspace, by its bot token. `base_url` ends in /api/, as for slack_sdk."""

    def __init__(self, token: str | None, base_url: str, gate: Gate, timeout: tuple[float, float] = TIMEOUT) -> None:
        self._token = token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = HttpClient(VENDOR, base_url, gate, headers=headers, timeout=timeout)
        # A post is a single call: it waits for its token in the ledger, where it holds up no other channel's.
        self._reader = HttpClient(VENDOR, base_url, gate, headers=headers, patience=PATIENCE)

    def post_message(self, channel: str, message: Mapping[str, Any]) -> dict[str, Any]:
        """chat.postMessage; the answer holds `channel` (always an id) and `ts`. It has no idempotency key.

        Counts against the limit of its channel. Raises Transient with `ambiguous` set if it may have arrived.
        """
        return self._call(
            "POST",
            "chat.postMessage",
            kind=f"post:{channel}",
            json={"channel": channel, **message},
            headers=_AS_JSON,
        )

    def update(self, channel: str, ts: str, message: Mapping[str, Any]) -> None:
        """chat.update: replaces text and blocks; to do it twice is the same as once."""
        content = {"channel": channel, "ts": ts, **message}
        self._call("POST", "chat.update", kind="update", harmless=True, json=content, headers=_AS_JSON)

    def ephemeral(self, channel: str, user: str, text: str) -> None:
        """chat.postEphemeral: a text in a channel that only `user` sees, until they next load the channel."""
        content = {"channel": channel, "user": user, "text": text}
        self._call("POST", "chat.postEphemeral", kind="whisper", json=content, headers=_AS_JSON)

    def user_by_email(self, email: str) -> dict[str, Any]:
        """users.lookupByEmail. Raises NoSuchUser."""
        answer = self._call("GET", "users.lookupByEmail", kind="lookup", params={"email": email})
        found: dict[str, Any] = answer.get("user") or {}
        return found

    def direct_channel(self, user: str) -> str:
        """conversations.open: the id of the direct channel with a user, made if there was none."""
        answer = self._call(
            "POST", "conversations.open", kind="lookup", harmless=True, json={"users": user}, headers=_AS_JSON
        )
        return str((answer.get("channel") or {}).get("id") or "")

    def open_view(self, trigger: str, view: Mapping[str, Any]) -> None:
        """views.open: a form before the eyes of whoever pressed; `trigger` holds for three seconds, and once."""
        content = {"trigger_id": trigger, "view": view}
        self._call("POST", "views.open", kind="view", json=content, headers=_AS_JSON)

    def history(self, channel: str, oldest: str, latest: str | None = None) -> Iterator[dict[str, Any]]:
        """The messages of a channel (an id, never a name) with their metadata, the newest first.

        From `oldest` to `latest` (Unix seconds, both included; without `latest` up to now). Raises Permanent when
        there are too many to read, or the list breaks off.
        """
        yield from self._pages("conversations.history", {"channel": channel}, oldest, latest)

    def replies(self, channel: str, thread: str, oldest: str) -> Iterator[dict[str, Any]]:
        """The messages of a thread with their metadata, the oldest first; else as `history`."""
        yield from self._pages("conversations.replies", {"channel": channel, "ts": thread}, oldest, None)

    def _pages(self, name: str, where: Mapping[str, str], oldest: str, latest: str | None) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params: dict[str, Any] = {
                **where,
                "oldest": oldest,
                "inclusive": "true",
                "include_all_metadata": "true",
                "limit": PAGE,
            }
            if latest:
                params["latest"] = latest
            if cursor:
                params["cursor"] = cursor
            answer = self._call("GET", name, kind="history", params=params)
            yield from answer.get("messages") or ()
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                if answer.get("has_more"):
                    raise Permanent("slack says that the history goes on, but not where")
                return
        raise Permanent(f"the history of that time is longer than {MAX_PAGES * PAGE} messages")

    def _call(self, method: str, name: str, *, kind: str, harmless: bool = False, **arguments: Any) -> dict[str, Any]:
        if not self._token:
            raise CredentialsRefused("SLACK_BOT_TOKEN is not set: it is the Bot token of your Slack app")
        safe = method == "GET" or harmless
        client = self._reader if method == "GET" else self._http
        if harmless:
            arguments["idempotent"] = True
        response = client.request(
            method, name, kind=kind, judge=lambda response: _judge(name, response, safe=safe), **arguments
        )
        return _json(response) or {}


def _judge(name: str, response: requests.Response, *, safe: bool) -> RevpipeError | None:
    answer = _json(response)
    if answer is None:
        return Transient(f"slack's answer to {name} is not JSON", ambiguous=not safe)
    return None if answer.get("ok") is True else error_in(name, answer, response.headers, safe=safe)


def error_in(name: str, answer: Mapping[str, Any], headers: Mapping[str, str], *, safe: bool) -> RevpipeError:
    """The error that an answer with `"ok": false` stands for; `name` is the method called.

    `safe` says that the call only read, so that a failure leaves no doubt.
    """
    code = str(answer.get("error") or "no error code")[:100]
    error = _error(code, f"slack refused {name}: {code}", answer, headers, safe=safe)
    error.where = f"slack {code}"
    return error


def _error(code: str, said: str, answer: Mapping[str, Any], headers: Mapping[str, str], *, safe: bool) -> RevpipeError:
    if code == "users_not_found":
        return NoSuchUser(said)
    if code in _LIMITED:
        return RateLimited(said, retry_after=retry_after(headers.get("Retry-After")))
    if code in _PASSING:
        return Transient(said, ambiguous=not safe)
    if code == "missing_scope":
        # A look that may not be taken is an answer: the action goes to a person, and no circuit need open for it.
        return (Permanent if safe else MissingScope)(
            f"{said}; add the scope {answer.get('needed', '')} to the app and reinstall it"
        )
    if code in _CREDENTIALS:
        return CredentialsRefused(f"{said}; set SLACK_BOT_TOKEN to a token that is valid")
    details = "; ".join(str(line) for line in (answer.get("response_metadata") or {}).get("messages") or ())
    advice = _ADVICE.get(code, "see Slack's documentation of the method for this code")
    return Permanent(f"{said}; {advice}" + (f" ({details[:300]})" if details else ""))


def _json(response: requests.Response) -> dict[str, Any] | None:
    try:
        answer = response.json()
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
