"""Plays a story: changes the vendor's records, then signs and posts the webhook that tells of it."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from adapters.sandbox import signing, wire
from adapters.sandbox.control_client import Control
from adapters.sandbox.scenarios.story import Step, Story
from adapters.sandbox.times import iso, parse_ms, to_ms

GONG_VALID = 600
"""Seconds; how long Gong's own tokens hold is not documented."""


class Player:
    """Stands between a running sandbox and a running revpipe.

    `live` moves each step to the moment it is played, so that what follows can be on time; without it steps keep
    the days of the story. `public_url` is signed in place of `revpipe_url` where the two differ.
    """

    def __init__(
        self,
        sandbox_url: str,
        revpipe_url: str,
        hubspot_secret: str,
        gong_private_key_pem: str,
        *,
        public_url: str | None = None,
        live: bool = True,
    ) -> None:
        self._control = Control(sandbox_url)
        self._target = revpipe_url.rstrip("/")
        self._signed = (public_url or revpipe_url).rstrip("/")
        self._secret = hubspot_secret
        self._key = gong_private_key_pem
        self._live = live
        # By a step's time in the story, so that a repeated delivery stays the same events.
        self._played_at: dict[datetime, datetime] = {}

    def seed(self, story: Story) -> None:
        """Put the story's records into the sandbox. Raises SandboxRefused."""
        self._control.seed(story.seed)

    def play(self, step: Step) -> wire.Answer:
        """Carry out one step; gives revpipe's answer. Raises SandboxRefused, or OSError if nobody answers."""
        if self._live:
            step = moved(step, self._played_at.setdefault(step.at, datetime.now(UTC)))
        for method, path, body in step.changes:
            self._control.call(method, path, body)
        raw = json.dumps(step.body, separators=(",", ":")).encode()
        path = f"/webhooks/{step.vendor}"
        return wire.send("POST", self._target + path, raw, self._headers(step.vendor, self._signed + path, raw))

    def _headers(self, vendor: str, url: str, raw: bytes) -> dict[str, str]:
        if vendor == "hubspot":
            return signing.hubspot_headers(self._secret, url, raw, int(time.time() * 1000))
        token = signing.gong_jwt(self._key, url, raw, int(time.time()) + GONG_VALID)
        return {"Content-Type": "application/json", "Authorization": token}


def moved(step: Step, to: datetime) -> Step:
    """The same step at another time: when it occurred, in the webhook and in the records alike."""
    shift = to_ms(to) - to_ms(step.at)
    changes = tuple((method, path, _shifted(body, shift)) for method, path, body in step.changes)
    return replace(step, at=to, body=_shifted(step.body, shift), changes=changes)


def _shifted(value: Any, shift: int) -> Any:
    if isinstance(value, list):
        return [_shifted(item, shift) for item in value]
    if not isinstance(value, dict):
        return value
    result = {name: _shifted(item, shift) for name, item in value.items()}
    if isinstance(result.get("occurredAt"), int):
        result["occurredAt"] += shift
    for name in ("started", "scheduled"):
        if isinstance(result.get(name), str):
            result[name] = iso(parse_ms(result[name]) + shift)
    return result
