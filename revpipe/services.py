"""What an entry point hands to the core: everything that is not code, in one typed argument."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import Engine

from config.settings import Settings
from revpipe.action_policy import ActionPolicy
from revpipe.context_needs import ContextNeeds
from revpipe.flights import Flights
from revpipe.identity import IdentityProvider
from revpipe.llm.desk import Desk
from revpipe.messenger import Messenger, Presses
from revpipe.ports import ActionAdapter, Circuits, Clock, Dispatcher, Provider, Source
from revpipe.rules.book import RuleBook


class Deciding(Protocol):
    """All that the answer to one signal rests on, beside the signal itself: it can be had without a ledger."""

    @property
    def rules(self) -> RuleBook: ...
    @property
    def policy(self) -> Mapping[str, ActionPolicy]: ...


@dataclass(frozen=True, slots=True)
class Services:
    """Made once by `bootstrap`. Holds only what the process may use: a worker of one stage has that stage's."""

    settings: Settings
    engine: Engine
    dispatcher: Dispatcher
    clock: Clock
    rules: RuleBook
    policy: Mapping[str, ActionPolicy]
    needs: ContextNeeds
    checks: Mapping[str, Callable[[Mapping[str, Any]], None]] = field(default_factory=dict)
    """For each action type what refuses params that can't be carried out; it raises Permanent and calls nobody."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    providers: Sequence[Provider] = ()
    adapters: Mapping[str, ActionAdapter] = field(default_factory=dict)
    circuits: Circuits | None = None
    desk: Desk | None = None
    """What is needed for the second pass; None where no language model is configured."""
    messengers: Mapping[str, Messenger] = field(default_factory=dict)
    """Ways to people, by their name; only a worker of their queues has them."""
    presses: Presses | None = None
    """What reads the buttons that people press in their chat; only the web process has it."""
    identity: IdentityProvider | None = None
    """Who vouches for people that sign in, beside passwords and links; None where none is configured."""

    flights: Flights = field(default_factory=Flights)
    """What this process is asking vendors for right now."""

    @property
    def lease(self) -> timedelta:
        """How long a claim holds without being renewed."""
        return timedelta(seconds=self.settings.revpipe_lease_seconds)
