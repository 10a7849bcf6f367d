"""Asking: an earlier answer if there is one, else budget, call, repair and guards; always a verdict, never an error.

No transaction is open while the model thinks, and no lock is held. Its answer is in the ledger before anything is
planned by it, so that a crash in between asks nobody twice.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from revpipe.db import transaction
from revpipe.errors import CircuitOpen, RateLimited, RevpipeError, Transient
from revpipe.hold import LeaseOver
from revpipe.language_model import Completion, LanguageModel
from revpipe.llm import answer, answers, budget, orders
from revpipe.llm.answers import Call
from revpipe.llm.budget import Cost
from revpipe.llm.desk import Desk
from revpipe.llm.guards import Bounds, Breach, passed
from revpipe.llm.policy import LlmPolicy
from revpipe.llm.question import Question
from revpipe.llm.verdict import LLM, RULE, Verdict, fallback
from revpipe.ports import Clock
from revpipe.rules.book import PlannedAction

log = structlog.get_logger(__name__)

ANSWERED: Final = "answered"
REPAIRED: Final = ("malformed", "wrong_schema")
"""What asking once more may mend. A refusal is a refusal, and a limit that was reached will be reached again."""
REPAIR: Final = (
    "\n\nYour former answer could not be used: {why}. Answer again, with nothing but one JSON object of the schema."
)


def verdict(question: Question, signal_id: uuid.UUID, desk: Desk, engine: Engine, clock: Clock) -> Verdict:
    """What is to be done by the model's answer, or why the fallback decides.

    Raises NoTurn while our own rate lets no question pass, and LeaseOver when the signal may be somebody else's.
    """
    if desk.model is None:
        return fallback("llm_off")
    try:
        call = _kept(question, desk.model, engine) or _asked(question, signal_id, desk, desk.model, engine, clock)
    except _Unpaid:
        return fallback("budget_spent", model=desk.model.model)
    except LeaseOver:
        raise
    except RevpipeError as error:
        if isinstance(error, RateLimited) and error.ours:
            raise NoTurn(error.retry_after or 1.0) from error
        log.warning("llm_not_asked", provider=desk.model.name, code=error.code)
        return fallback(error.code, model=desk.model.model, where=error.where)
    told = _told(call)
    if call.outcome != ANSWERED or call.answer is None:
        return fallback(call.outcome, **told)
    try:
        allowed = passed(answer.of_dict(call.answer), Bounds(question.scope, desk.policy), desk.guards)
    except Breach as breach:
        # Perhaps somebody wrote into the data what the model was to say.
        log.warning("llm_answer_refused", code=breach.code, signal_id=str(signal_id), model=call.model)
        return fallback(breach.code, **told)
    actions = tuple(_planned(one, question, desk.policy) for one in allowed.actions)
    return Verdict(LLM, ANSWERED, actions, {**told, "reason": allowed.reason})


class NoTurn(Exception):
    """Others are before it: ask again in `wait` seconds. Nobody was called, and nothing is wrong."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"no turn for {wait:.1f} s")
        self.wait = wait


class _Unpaid(Exception):
    """The day's budget does not cover the question."""


def _kept(question: Question, model: LanguageModel, engine: Engine) -> Call | None:
    with transaction(engine) as tx:
        return answers.kept(tx, question.key(model.name, model.model))


def _asked(
    question: Question, signal_id: uuid.UUID, desk: Desk, model: LanguageModel, engine: Engine, clock: Clock
) -> Call:
    first = _call(question, question, 1, signal_id, desk, model, engine, clock)
    if first.outcome not in REPAIRED or first.kept:
        return first
    said = replace(question.prompt, user=question.prompt.user + REPAIR.format(why=first.detail))
    second = _call(replace(question, prompt=said), question, 2, signal_id, desk, model, engine, clock)
    return _with_its_first(second, first)


def _with_its_first(second: Call, first: Call) -> Call:
    """The second call with what both cost and took: so the plan tells it. In the books each stands by itself."""
    return replace(
        second,
        input_tokens=first.input_tokens + second.input_tokens,
        cached_tokens=first.cached_tokens + second.cached_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        cost_usd=first.cost_usd + second.cost_usd,
        latency_ms=first.latency_ms + second.latency_ms,
    )


def _call(
    asked: Question,
    about: Question,
    attempt: int,
    signal_id: uuid.UUID,
    desk: Desk,
    model: LanguageModel,
    engine: Engine,
    clock: Clock,
) -> Call:
    price = desk.policy.prices[model.model]
    reserved = budget.most(asked.prompt, price)
    with transaction(engine) as tx:
        now = clock.now()
        if not budget.reserve(tx, reserved, desk.policy.budget, now):
            raise _Unpaid
    began = time.monotonic()
    try:
        completion = model.ask(asked.prompt)
    except RevpipeError as error:
        with transaction(engine) as tx:
            if not (isinstance(error, Transient) and error.ambiguous):
                budget.settle(tx, now.date(), reserved, Cost(0, 0.0))
            if _was_called(error):
                answers.keep(tx, _unanswered(error.code, about, attempt, model, _since(began), now), signal_id)
        raise
    call = _judged(completion, about, attempt, model, _since(began), now)
    cost = price.of(completion.input_tokens, completion.cached_tokens, completion.output_tokens)
    call = replace(call, cost_usd=cost)
    with transaction(engine) as tx:
        budget.settle(tx, now.date(), reserved, Cost(completion.input_tokens + completion.output_tokens, cost))
        answers.keep(tx, call, signal_id)
    return call


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _was_called(error: RevpipeError) -> bool:
    return not (isinstance(error, CircuitOpen) or (isinstance(error, RateLimited) and error.ours))


def _unanswered(outcome: str, about: Question, attempt: int, model: LanguageModel, latency: int, now: datetime) -> Call:
    """A call without an answer, for the books. What it cost, if anything, is not known."""
    return Call(
        question=about.key(model.name, model.model),
        provider=model.name,
        model=model.model,
        template=about.template,
        attempt=attempt,
        outcome=outcome,
        kept=False,
        answer=None,
        request_id=None,
        input_tokens=0,
        cached_tokens=0,
        output_tokens=0,
        cost_usd=0.0,
        latency_ms=latency,
        asked_at=now,
    )


def _judged(
    completion: Completion, about: Question, attempt: int, model: LanguageModel, latency: int, now: datetime
) -> Call:
    outcome, value, detail = _outcome(completion)
    return replace(
        _unanswered(outcome, about, attempt, model, latency, now),
        # The first answer that can't be used is not what the question came to: a second one follows.
        kept=attempt > 1 or outcome not in REPAIRED,
        answer=value,
        request_id=completion.request_id,
        input_tokens=completion.input_tokens,
        cached_tokens=completion.cached_tokens,
        output_tokens=completion.output_tokens,
        detail=detail,
    )


def _outcome(completion: Completion) -> tuple[str, dict[str, Any] | None, str]:
    if completion.ending != "complete":
        return completion.ending, None, ""
    try:
        return ANSWERED, answer.as_dict(answer.read(completion.text)), ""
    except answer.Malformed as fault:
        return fault.code, None, str(fault)


def _told(call: Call) -> Mapping[str, Any]:
    return {
        "provider": call.provider,
        "model": call.model,
        "template": call.template,
        "question": call.question[:16],
        "request_id": call.request_id,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cost_usd": round(call.cost_usd, 6),
        "latency_ms": call.latency_ms,
        "reused": call.reused,
    }


def _planned(one: answer.Proposal, question: Question, policy: LlmPolicy) -> PlannedAction:
    return PlannedAction(
        rule_id=RULE,
        rule_description="What a language model made of a signal that the rules left open.",
        type=one.type,
        params=orders.params(one, question.scope),
        priority="",
        approval="always" if one.needs_approval else None,
        cooldown=policy.cooldown,
    )
