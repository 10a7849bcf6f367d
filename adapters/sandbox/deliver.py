"""Posting webhook events like HubSpot: batches in no order, repeats, and tries again after any refusal."""

import heapq
import http.client
import itertools
import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from adapters.sandbox import signing, wire
from adapters.sandbox.hubspot_events import Event
from adapters.sandbox.world import World

MOST_EVENTS = 100
TIMEOUT = 10.0
"""Seconds; the documentation says 5, the header that comes with every delivery says 10."""


@dataclass(frozen=True, slots=True)
class Post:
    """One delivery made: `status` is None if no answer came."""

    status: int | None
    events: int
    attempt: int
    body: str

    @property
    def taken(self) -> bool:
        """Any 2xx counts as success."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the deliveries of one call should look; all but `shuffle` are the awkward cases that do occur.

    `equal_time` gives all events of a batch one occurredAt, `reuse_event_id` one eventId; `repeats` sends each
    batch that many times more although it was taken. `public_url` is signed instead of the URL posted to.
    """

    batch: int = MOST_EVENTS
    shuffle: bool = True
    equal_time: bool = False
    reuse_event_id: bool = False
    repeats: int = 0
    public_url: str | None = None


def deliver(world: World, url: str, secret: str, events: list[Event], wishes: Wishes) -> list[Post]:
    """Post all events once (and their repeats), without trying again. For the caller to look at."""
    posts = []
    size = max(1, min(wishes.batch, MOST_EVENTS))
    for start in range(0, len(events), size):
        batch = _arranged(world, events[start : start + size], wishes)
        for attempt in range(wishes.repeats + 1):
            posts.append(post(url, secret, _as_attempt(batch, attempt), wishes.public_url))
    return posts


def post(url: str, secret: str, events: list[Event], public_url: str | None = None) -> Post:
    """Sign and post one batch; the time in the signature is that of this attempt."""
    body = json.dumps(events, separators=(",", ":")).encode()
    headers = signing.hubspot_headers(secret, public_url or url, body, int(time.time() * 1000))
    attempt = max((event.get("attemptNumber", 0) for event in events), default=0)
    try:
        answer = wire.send("POST", url, body, headers, TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        return Post(None, len(events), attempt, type(error).__name__)
    return Post(answer.status, len(events), attempt, answer.body.decode("utf-8", "replace")[:2000])


def as_json(posts: list[Post]) -> dict[str, Any]:
    """The deliveries made, for the control API."""
    return {"posts": [asdict(one) for one in posts]}


class Postman:
    """Posts pending events by itself while a target URL is set, and again after each of the knob's delays."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._later: list[tuple[float, int, list[Event]]] = []
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=self._run, name="sandbox-postman", daemon=True)

    def start(self) -> None:
        """Begin; ends with the world."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end, a delivery under way included."""
        self._thread.join(TIMEOUT)

    def _run(self) -> None:
        while not self._world.stopping.wait(0.05):
            knobs = self._world.hubspot.knobs
            if knobs.target_url is None:
                self._later.clear()  # A reset must not let the past arrive at the next target.
                continue
            for batch in self._due():
                sent = post(knobs.target_url, knobs.client_secret, batch)
                if not sent.taken:
                    self._again(batch, sent.attempt)

    def _due(self) -> list[list[Event]]:
        with self._world.lock:
            fresh = self._world.hubspot.events.drain()
            self._world.hubspot.chance.shuffle(fresh)
        batches = [fresh[start : start + MOST_EVENTS] for start in range(0, len(fresh), MOST_EVENTS)]
        while self._later and self._later[0][0] <= time.monotonic():
            batches.append(heapq.heappop(self._later)[2])
        return batches

    def _again(self, batch: list[Event], attempt: int) -> None:
        delays = self._world.hubspot.knobs.retry_delays
        if attempt < len(delays):
            due = time.monotonic() + delays[attempt]
            heapq.heappush(self._later, (due, next(self._numbers), _as_attempt(batch, attempt + 1)))


def _arranged(world: World, events: list[Event], wishes: Wishes) -> list[Event]:
    batch = [dict(event) for event in events]
    if wishes.shuffle:
        world.hubspot.chance.shuffle(batch)
    if wishes.equal_time and batch:
        same = {"occurredAt": min(event["occurredAt"] for event in batch)}
        batch = [event | same for event in batch]
    if wishes.reuse_event_id and batch:
        batch = [event | {"eventId": batch[0]["eventId"]} for event in batch]
    return batch


def _as_attempt(batch: list[Event], attempt: int) -> list[Event]:
    return [event | {"attemptNumber": attempt} for event in batch] if attempt else batch
