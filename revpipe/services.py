"""What an entry point hands to the core: everything that is not code, in one typed argument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Engine

from config.settings import Settings
from revpipe.action_policy import ActionPolicy
from revpipe.context_needs import ContextNeeds
from revpipe.ports import ActionAdapter, Circuits, Clock, Dispatcher, Provider, Source
from revpipe.rules.book import RuleBook


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
    sources: Mapping[str, Source] = field(default_factory=dict)
    providers: Sequence[Provider] = ()
    adapters: Mapping[str, ActionAdapter] = field(default_factory=dict)
    circuits: Circuits | None = None

    @property
    def lease(self) -> timedelta:
        """How long a claim holds without being renewed."""
        return timedelta(seconds=self.settings.revpipe_lease_seconds)
