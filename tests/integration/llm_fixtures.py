"""A simulated language model over HTTP behind the second pass, and signals that the rules leave open."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import redis

from adapters import registry
from adapters.sandbox.server import SandboxServer
from config.queues import PRIORITIES, left_open
from config.settings import Settings
from revpipe import bootstrap, feed, second_pass
from revpipe.gate import Rate, RedisGate
from revpipe.llm.desk import Desk
from revpipe.llm.guards import GUARDS, Guard
from revpipe.llm.policy import Budget
from revpipe.ports import Part, Parts
from revpipe.services import Services
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import FakeProvider, put, run_stage, sent, signal_id, take_messages

PROVIDERS = ("anthropic", "openai")
CONTACT = {
    "id": "301",
    "email": "kim.ode@hooli.example",
    "first_name": "Kim",
    "last_name": "Ode",
    "name": "Kim Ode",
    "job_title": "Head of IT",
}
DEAL = {
    "is_closed": False,
    "name": "Hooli, 40 seats",
    "stage": "contractsent",
    "stage_label": "Contract sent",
    "amount": 48000.0,
    "currency": "EUR",
    "owner_id": "77",
    "owner_name": "Robin Reyes",
    "owner_email": "robin@seller.example",
    "next_step": "Call +49 30 5550100 or write to kim.ode@hooli.example",
}


def settings_of(sandbox: SandboxServer, provider: str) -> Settings:
    """Settings that name the simulated provider."""
    return Settings(
        llm_provider=provider,
        anthropic_api_key="sandbox-key",
        anthropic_base_url=f"{sandbox.url}/anthropic",
        openai_api_key="sandbox-key",
        openai_base_url=f"{sandbox.url}/openai/v1",
    )


def with_model(
    services: Services,
    sandbox: SandboxServer,
    provider: str = "anthropic",
    *,
    budget: Budget | None = None,
    guards: Sequence[Guard] = GUARDS,
    seconds: float = 5.0,
    rates: Mapping[tuple[str, str], Rate] | None = None,
    **policy: Any,
) -> Services:
    """The services with a desk whose model is the simulated one, reached through the adapter and the real gate."""
    settings = settings_of(sandbox, provider)
    desk = bootstrap.load_desk(settings)
    assert desk is not None
    changed = replace(desk.policy, **policy)
    if budget is not None:
        changed = replace(changed, budget=budget)
    gate = RedisGate(redis.Redis.from_url(str(services.settings.redis_url)), rates or {}, "llm")
    name = changed.models[provider]
    model = bootstrap._make(registry.MODELS[provider], settings, gate, name, seconds)
    return replace(services, desk=Desk(changed, desk.template, model, None, guards))


def open_signal(name: str, deal: str = "201", **more: Any) -> dict[str, Any]:
    """An event to which no rule of the tests listens."""
    return {"id": name, "deal": deal, "event": "deal.amount_changed", "payload": {"property": "amount"}, **more}


def context_of(services: Services, deal: str = "201", contact: bool = True, **values: Any) -> Parts:
    """What enrichment knows about it: a deal worth asking about, its account and the buyer."""
    now = services.clock.now()
    parts = {
        "deal": Part("deal", "crm", now, {**DEAL, "id": deal, **values}),
        "change": Part("change", "crm", now, {"property": "amount", "old_value": "40000", "new_value": "48000"}),
        "account": Part("account", "crm", now, {"id": "401", "name": "Hooli"}),
    }
    if contact:
        parts["contact"] = Part("contact", "crm", now, CONTACT)
    return parts


def leave_open(services: Services, provider: FakeProvider, *events: Mapping[str, Any], **deal: Any) -> None:
    """Bring signals as far as the queue of the second pass."""
    for event in events:
        provider.script[signal_id(event["id"])] = context_of(services, event["deal"], **deal)
    put(services, *events)
    run_stage(services, "enrich")
    run_stage(services, "decide")


def open_chunks(services: Services) -> list[Chunk]:
    """The messages to the second pass."""
    return sent(services, "signals", "queue LIKE 'decide.llm.%'")


def run_second(services: Services) -> list[Chunk]:
    """The second pass on all that was sent to it; as often as more follows."""
    done: list[Chunk] = []
    while chunks := open_chunks(services):
        take_messages(services, "decide_llm")
        for chunk in chunks:
            second_pass.run(chunk, services)
        done += chunks
        feed.offer(services, [left_open(word) for word in PRIORITIES])
    return done


def asked(sandbox: SandboxServer, provider: str = "anthropic") -> int:
    """How many questions the model answered."""
    return len(sandbox.world.models[provider].asked)


def proposal(**more: Any) -> dict[str, Any]:
    """One action as a model may want it."""
    return {
        "type": "create_task",
        "deal_id": "201",
        "account_id": None,
        "contact_id": None,
        "to": None,
        "subject": "Call the buyer",
        "text": "The amount went up; agree the paper.",
        "due_in_days": 1,
        "needs_approval": True,
        **more,
    }


def wants(*proposals: Mapping[str, Any], reason: str = "The amount went up.") -> dict[str, Any]:
    """A whole answer."""
    return {"actions": [dict(one) for one in proposals], "reason": reason}
