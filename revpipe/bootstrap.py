"""Settings + registry + dispatcher → Services: the one file of the core that imports outward."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final

import redis

from config.queues import OUTBOUND, RECHECK, WAYS, left_open, needed_settings
from config.settings import Settings, require
from revpipe import action_policy, action_policy_file, context_needs, crash, retention, time_scale
from revpipe.circuits import RedisCircuits, scope_of
from revpipe.clock import LedgerClock
from revpipe.db import make_engine
from revpipe.errors import Misconfigured, Permanent, RevpipeError
from revpipe.gate import RedisGate, limits
from revpipe.identity import IdentityProvider
from revpipe.language_model import LanguageModel
from revpipe.llm import policy as llm_policy
from revpipe.llm.desk import Desk
from revpipe.llm.question import PromptTemplate
from revpipe.messenger import Messenger, Presses
from revpipe.ports import ActionAdapter, Provider, Source
from revpipe.rules import book as rules
from revpipe.services import Services

from adapters import registry  # isort: skip
from tasks import dispatch  # isort: skip

CONFIG: Final = Path(__file__).parent.parent / "config"
GATE_CONNECTIONS: Final = 1
"""Connections on which a process asks for rates and circuits: a question takes less than a millisecond."""


def for_web(settings: Settings, *, connections: int = 5) -> Services:
    """What the web process needs: every source, what Slack's buttons bring, and no other vendor's token."""
    made = _services(settings, connections, sources=_sources(settings), asks_circuits=True)
    identity: IdentityProvider | None = _make(registry.IDENTITY["oidc"], settings) if settings.oidc_issuer else None
    return replace(made, presses=_presses(settings, made), identity=identity)


def _presses(settings: Settings, made: Services) -> Presses:
    """What reads Slack's buttons. Its few calls pass the gate over the connection that asks for circuits."""
    circuits = made.circuits
    if not isinstance(circuits, RedisCircuits):
        raise TypeError("the web process asks for circuits")
    gate = RedisGate(circuits.client, limits(settings.hubspot_calls_per_10s), scope_of(settings.database_url))
    presses: Presses = _make(registry.PRESSES, settings, gate)
    return presses


def for_keeper(settings: Settings) -> Services:
    """What the keeper and the command line need: the ledger and the queues."""
    return _services(settings, 2, asks_circuits=True)


def for_worker(settings: Settings, queues: Sequence[str], *, connections: int = 5) -> Services:
    """What a worker of `queues` needs and no more. Raises SettingsError for what it can't work without."""
    require(settings, *needed_settings(tuple(queues)))
    rates = limits(settings.hubspot_calls_per_10s)
    gate = RedisGate(_gate_client(str(settings.redis)), rates, scope_of(settings.database_url))
    providers: list[Provider] = []
    if any(queue.startswith(("enrich.", f"{RECHECK}.")) for queue in queues):
        providers = [_make(path, settings, gate) for path in registry.PROVIDERS.values()]
    wanted = [name for name in OUTBOUND if any(queue.startswith(f"execute.{name}.") for queue in queues)]
    adapters: dict[str, ActionAdapter] = {name: _make(registry.ACTIONS[name], settings, gate) for name in wanted}
    desk = load_desk(settings)
    if desk is not None and any(queue.startswith(left_open("")) for queue in queues):
        desk = _asking(desk, settings, gate, queues)
    asking = [way for way in WAYS if any(queue.startswith(f"notify.{way}.") for queue in queues)]
    messengers: dict[str, Messenger] = {way: _make(registry.MESSENGERS[way], settings, gate) for way in asking}
    made = _services(settings, connections, providers=providers, adapters=adapters, desk=desk, worker=True)
    return replace(made, messengers=messengers)


def load_llm_policy() -> llm_policy.LlmPolicy:
    """The bounds of the second pass in config/. Raises Misconfigured with file and line of each fault."""
    return llm_policy.load((CONFIG / "llm.yaml").read_text(encoding="utf-8"), "config/llm.yaml")


def load_desk(settings: Settings) -> Desk | None:
    """What the second pass is bound by, as config/ says; None where no language model is configured.

    The files are checked either way. Raises Misconfigured with file and line of each fault.
    """
    policy = load_llm_policy()
    file = CONFIG / "prompts" / f"{policy.prompt}.md"
    if not file.is_file():
        raise Misconfigured(f"config/llm.yaml: prompt: there is no config/prompts/{policy.prompt}.md")
    unknown = sorted(set(policy.actions) - set(load_policy()))
    if unknown:
        raise Misconfigured(f"config/llm.yaml: actions: config/actions.yaml has no policy for {', '.join(unknown)}")
    if settings.llm_provider == "none":
        return None
    model = policy.models.get(settings.llm_provider)
    if model is None or model not in policy.prices:
        wanted = f"a model under `models: {settings.llm_provider}:` and its price under `prices`"
        raise Misconfigured(f"config/llm.yaml: LLM_PROVIDER={settings.llm_provider} needs {wanted}")
    return Desk(policy, PromptTemplate(policy.prompt, file.read_text(encoding="utf-8")))


def _asking(desk: Desk, settings: Settings, gate: RedisGate, queues: Sequence[str]) -> Desk:
    """The desk with the model itself. Raises SettingsError if its key is missing."""
    provider = settings.llm_provider
    require(settings, f"{provider}_api_key")
    name, seconds = desk.policy.models[provider], desk.policy.answer_within.total_seconds()
    model: LanguageModel = _make(registry.MODELS[provider], settings, gate, name, seconds)
    alone = all(queue.startswith(left_open("")) for queue in queues)
    return replace(desk, model=model, turns=None if alone else BoundedSemaphore(desk.policy.at_once))


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
    path, name = file or CONFIG / "rules.yaml", str(file) if file else "config/rules.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise Misconfigured(f"{name}:{line}: is no text in UTF-8; save it as UTF-8") from error
    return read_rules(settings, text, name)


def read_rules(settings: Settings, text: str, name: str) -> rules.RuleBook:
    """The rules in `text`, checked as `load_rules` checks them; `name` is what faults are told of."""
    return rules.load(text, load_checks(settings), name)


def load_checks(settings: Settings) -> dict[str, Callable[[Mapping[str, Any]], None]]:
    """For each action type that policy knows its adapter's check of params, which calls nobody."""
    checks: dict[str, Callable[[Mapping[str, Any]], None]] = {}
    for kind, entry in load_policy().items():
        adapter: ActionAdapter = _make(registry.ACTIONS[entry.adapter], settings, _NoCalls())
        checks[kind] = partial(adapter.check, kind)
    return checks


def load_policy() -> dict[str, action_policy.ActionPolicy]:
    """The policy for each action type in config/, checked against the adapters that there are."""
    policy = action_policy_file.load((CONFIG / "actions.yaml").read_text(encoding="utf-8"), "config/actions.yaml")
    for kind, entry in policy.items():
        if entry.adapter not in registry.ACTIONS:
            raise Misconfigured(f"config/actions.yaml: {kind}: no adapter is registered as {entry.adapter!r}")
    return policy


def load_retention() -> retention.Retention:
    """How long what is over is kept, as config/ says. Raises Misconfigured with file and line of each fault."""
    return retention.load((CONFIG / "retention.yaml").read_text(encoding="utf-8"), "config/retention.yaml")


def load_needs() -> context_needs.ContextNeeds:
    """What context each event needs, as config/ says."""
    return context_needs.load((CONFIG / "sources.yaml").read_text(encoding="utf-8"), "config/sources.yaml")


def load_sources(settings: Settings) -> dict[str, Source]:
    """Every source by name. They read what they are given; without their secrets they let nothing in."""
    return _sources(settings)


def _services(
    settings: Settings,
    connections: int,
    *,
    sources: Mapping[str, Source] | None = None,
    providers: Sequence[Provider] = (),
    adapters: Mapping[str, ActionAdapter] | None = None,
    desk: Desk | None = None,
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
        checks=load_checks(settings),
        needs=load_needs(),
        sources=sources or {},
        providers=providers,
        adapters=adapters or {},
        circuits=circuits,
        desk=desk,
    )


def _sources(settings: Settings) -> dict[str, Source]:
    return {name: _make(path, settings) for name, path in registry.SOURCES.items()}


def _make(path: str, *arguments: Any) -> Any:
    module, _, function = path.partition(":")
    return getattr(importlib.import_module(module), function)(*arguments)
