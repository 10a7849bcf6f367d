"""All that the sandbox remembers, in one object; a request finds it through `here()`."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final, cast

from flask import request

from adapters.sandbox.effects import Effects
from adapters.sandbox.faults import Faults
from adapters.sandbox.gong_store import GongStore
from adapters.sandbox.hubspot_store import HubSpotStore
from adapters.sandbox.knobs import GongKnobs, HubSpotKnobs, MailKnobs, SlackKnobs
from adapters.sandbox.model_store import ModelKnobs, ModelStore
from adapters.sandbox.pace import Pace
from adapters.sandbox.slack_store import SlackStore

WORLD: Final = "revpipe.sandbox.world"
"""Where a request's WSGI environment holds the world that answers it."""


class World:
    """The simulated vendors. `clock` gives seconds since 1970; a test may move it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.effects = Effects(self.now)
        self.faults = Faults(self.now)
        self.reset()

    def now(self) -> int:
        """Epoch milliseconds."""
        return int(self._clock() * 1000)

    def reset(self) -> None:
        """Back to a fresh account at every vendor: no records, effects or faults, all knobs as delivered."""
        self.effects.clear()
        self.faults.clear()
        self.hubspot = HubSpotStore(HubSpotKnobs(), self.now)
        self.gong = GongStore(GongKnobs())
        self.slack = SlackStore(SlackKnobs(), self.now)
        self.models = {name: ModelStore(ModelKnobs()) for name in ("anthropic", "openai")}
        self.mail_knobs = MailKnobs()
        self.mail: list[dict[str, Any]] = []
        self.paces: dict[str, Pace] = {}

    def pace(self, name: str) -> Pace:
        """The window of one rate limit."""
        return self.paces.setdefault(name, Pace())

    def wait(self, seconds: float) -> None:
        """Let time pass, but not beyond the end of the server."""
        if seconds > 0:
            self.stopping.wait(seconds)


def here() -> World:
    """The world of the request being answered."""
    return cast(World, request.environ[WORLD])
