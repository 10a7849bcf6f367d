"""Settings + registry + dispatcher → Services: the one file of the core that imports outward."""

import importlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis

from config.queues import OUTBOUND, needed_settings
from config.settings import Settings, require
from revpipe import action_policy, context_needs, crash, retention, time_scale
from revpipe.circuits import RedisCircuits, scope_of
from revpipe.clock import LedgerClock
from revpipe.db import make_engine
from revpipe.errors import Misconfigured, Permanent, RevpipeError
from revpipe.gate import RedisGate, limits
from revpipe.ports import ActionAdapter, Provider, Source
from revpipe.rules import book as rules
from revpipe.services import Services

from adapters import registry  # isort: skip
from tasks import dispatch  # isort: skip

CONFIG: Final = Path(__file__).parent.parent / "config"
GATE_CONNECTIONS: Final = 1
"""Connections on which a process asks for rates and circuits: a question takes less than a millisecond."""


def for_web(settings: Settings, *, connections: int = 5) -> Services:
    """What the web process needs: every source, and no vendor's token."""
    return _services(settings, connections, sources=_sources(settings), asks_circuits=True)


def for_keeper(settings: Settings) -> Services:
    """What the keeper and the command line need: the ledger and the queues."""
    return _services(settings, 2, asks_circuits=True)


def for_worker(settings: Settings, queues: Sequence[str], *, connections: int = 5) -> Services:
    """What a worker of `queues` needs and no more. Raises SettingsError for what it can't work without."""
    require(settings, *needed_settings(tuple(queues)))
    rates = limits(settings.hubspot_calls_per_10s)
    gate = RedisGate(_gate_client(str(settings.redis)), rates, scope_of(settings.database_url))
    providers: list[Provider] = []
    if any(queue.startswith("enrich.") for queue in queues):
        providers = [_make(path, settings, gate) for path in registry.PROVIDERS.values()]
    wanted = [name for name in OUTBOUND if any(queue.startswith(f"execute.{name}.") for queue in queues)]
    adapters: dict[str, ActionAdapter] = {name: _make(registry.ACTIONS[name], settings, gate) for name in wanted}
    return _services(settings, connections, providers=providers, adapters=adapters, worker=True)


def _gate_client(url: str) -> redis.Redis:
    """Threads take turns on few connections, which small plans count; taking a token is a matter of a moment."""
    pool = redis.BlockingConnectionPool.from_url(
        url, max_connections=GATE_CONNECTIONS, timeout=1, socket_timeout=1, socket_connect_timeout=1
    )
    return redis.Redis.from_pool(pool)


def _asking_client(settings: Settings, dispatcher: dispatch.CeleryDispatcher) -> redis.Redis:
    """Where circuits are asked for: over the connection that asks the broker, if that is the same Redis."""
    shared = getattr(dispatcher.broker, "client", None)
    return shared if isinstance(shared, redis.Redis) and not settings.broker_url else _gate_client(str(settings.redis))


class _NoCalls:
    """The gate of adapters that are made only to check what rules ask of them."""

    def spend(self, vendor: str, kind: str) -> None:
        """Refuse: checking a rule calls nobody."""
        raise Permanent(f"{vendor} must not be called ({kind}) while rules are checked")

    def report(self, vendor: str, kind: str, error: RevpipeError | None) -> None:
        """There is nothing to report."""


def load_rules(settings: Settings, file: Path | None = None) -> rules.RuleBook:
    """The rules in config/ or in `file`, checked to the last parameter of their actions.

    Raises Misconfigured with file and line of each fault.
    """
    path = file or CONFIG / "rules.yaml"
    checks = {}
    for kind, entry in load_policy().items():
        adapter: ActionAdapter = _make(registry.ACTIONS[entry.adapter], settings, _NoCalls())
        checks[kind] = partial(adapter.check, kind)
    return rules.load(path.read_text(encoding="utf-8"), checks, str(file) if file else "config/rules.yaml")


def load_policy() -> dict[str, action_policy.ActionPolicy]:
    """The policy for each action type in config/, checked against the adapters that there are."""
    policy = action_policy.load((CONFIG / "actions.yaml").read_text(encoding="utf-8"), "config/actions.yaml")
    for kind, entry in policy.items():
        if entry.adapter not in registry.ACTIONS:
            raise Misconfigured(f"config/actions.yaml: {kind}: no adapter is registered as {entry.adapter!r}")
    return policy


def load_retention() -> retention.Retention:
    """How long what is over is kept, as config/ says. Raises Misconfigured with file and line of each fault."""
    return retention.load((CONFIG / "retention.yaml").read_text(encoding="utf-8"), "config/retention.yaml")


def _services(
    settings: Settings,
    connections: int,
    *,
    sources: Mapping[str, Source] | None = None,
    providers: Sequence[Provider] = (),
    adapters: Mapping[str, ActionAdapter] | None = None,
    worker: bool = False,
    asks_circuits: bool = False,
) -> Services:
    require(settings, "database_url", "redis_url")
    crash.arm(settings.revpipe_crash_point)
    time_scale.arm(settings.revpipe_time_scale)
    dispatcher = dispatch.connect(settings, publisher_only=not worker)
    circuits = None
    if asks_circuits:
        circuits = RedisCircuits(_asking_client(settings, dispatcher), scope_of(settings.database_url))
    needs = context_needs.load((CONFIG / "sources.yaml").read_text(encoding="utf-8"), "config/sources.yaml")
    clock = LedgerClock()
    return Services(
        settings=settings,
        engine=make_engine(
            str(settings.database_url), pool_size=connections, prepared=settings.database_prepared, clock=clock
        ),
        dispatcher=dispatcher,
        clock=clock,
        rules=load_rules(settings),
        policy=load_policy(),
        needs=needs,
        sources=sources or {},
        providers=providers,
        adapters=adapters or {},
        circuits=circuits,
    )


def _sources(settings: Settings) -> dict[str, Source]:
    return {name: _make(path, settings) for name, path in registry.SOURCES.items()}


def _make(path: str, *arguments: Any) -> Any:
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)(*arguments)
