"""From a signal's story, as the ledger tells it, to the data of its causal page."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from revpipe.story.causal import (
    ActionWanted,
    ApprovalAsked,
    Beside,
    Causal,
    DecisionMade,
    ModelsPart,
    PartOfContext,
    Row,
    RuleAsked,
    Step,
    TermOfRule,
    VersionAsked,
)
from revpipe.story.words import change, ending, known, origin, subject


def build(story: Mapping[str, Any], beside: Beside) -> Causal:
    """The page's data of a story (as `queries.story` reads it) and what lies beside it."""
    signal, context, plan = story["signal"], story["context"], story["plan"]
    return Causal(
        signal_id=signal["signal_id"],
        correlation_id=signal["correlation_id"],
        event=signal["event"],
        subject=subject(story),
        change=change(signal),
        origin=origin(signal),
        known=known(story),
        ending=ending(story),
        deal_url=_of_deal(context, "url"),
        owner_id=_of_deal(context, "owner_id"),
        signal=signal,
        raw=beside.raw,
        context_at=context["created_at"] if context else None,
        context_complete=context["complete"] if context else None,
        parts=tuple(_parts(context, plan)),
        decision=_decision(story, beside.descriptions or {}) if plan else None,
        model=_model(plan, beside),
        actions=tuple(_actions(story, beside.versions or {})),
        trail=tuple(_steps(story)),
        dead_letters=tuple(story["dead_letters"]),
        survivor=next(iter(story.get("survivor", ())), None),
        carried=tuple(story.get("carried", ())),
        former=tuple(story.get("superseded", ())),
    )


def _of_deal(context: Row | None, name: str) -> str | None:
    deal = ((context or {}).get("parts") or {}).get("deal") or {}
    found = (deal.get("value") or {}).get(name)
    return str(found) if found else None


def _parts(context: Row | None, plan: Row | None) -> Iterator[PartOfContext]:
    for name, part in sorted((context["parts"] if context else {}).items()):
        fetched_at = datetime.fromisoformat(part["fetched_at"])
        yield PartOfContext(
            name=name,
            provider=part["provider"],
            fetched_at=fetched_at,
            age_s=(plan["created_at"] - fetched_at).total_seconds() if plan else None,
            complete=part["complete"],
            missing=part["missing"],
            value=part["value"],
        )


def _decision(story: Mapping[str, Any], descriptions: Mapping[str, str]) -> DecisionMade:
    plan = story["plan"]
    wanted = {
        one["rule_id"]: tuple(action["type"] for action in one["actions"]) for one in story.get("shadow_outcomes", ())
    }
    live = [_asked(one, "live", descriptions, ()) for one in plan["why"].get("rules", ())]
    tried = [_asked(one, "shadow", descriptions, wanted.get(one["rule"], ())) for one in plan["why"].get("shadow", ())]
    return DecisionMade(
        plan_id=plan["plan_id"],
        by=plan["decided_by"],
        at=plan["created_at"],
        rules_version=plan["rules_version"],
        conclusive=plan["conclusive"],
        rules=(*live, *tried),
    )


def _asked(told: Row, mode: str, descriptions: Mapping[str, str], wanted: tuple[str, ...]) -> RuleAsked:
    return RuleAsked(
        rule_id=told["rule"],
        description=descriptions.get(told["rule"], ""),
        mode=mode,
        listened=told["listened"],
        fired=told["fired"],
        terms=tuple(TermOfRule(one["expression"], one["held"], one["values"]) for one in told.get("terms", ())),
        shortened=bool(told.get("shortened")),
        wanted=wanted,
    )


def _model(plan: Row | None, beside: Beside) -> ModelsPart | None:
    told = plan["why"].get("llm") if plan else None
    if told is None and not beside.calls:
        return None
    return ModelsPart(told or {}, beside.question, tuple(beside.calls))


def _actions(story: Mapping[str, Any], versions: Mapping[uuid.UUID, Sequence[VersionAsked]]) -> Iterator[ActionWanted]:
    fired_at = story["signal"]["fired_at"]
    words = {one["action_id"]: _approval(one, versions) for one in story["approvals"]}
    for row in story["actions"]:
        effect = row["effect"] or {}
        yield ActionWanted(
            action_id=row["action_id"],
            type=row["type"],
            adapter=row["adapter"],
            rule_id=row["rule_id"],
            priority=row["priority"],
            state=row["state"],
            reason=row["reason"],
            params=row["params"],
            created_at=row["created_at"],
            done_at=row["done_at"],
            after_s=(row["done_at"] - fired_at).total_seconds() if row["done_at"] else None,
            attempts=row["attempts"],
            effect=row["effect"],
            external_id=effect.get("external_id"),
            url=effect.get("url"),
            suppressed_by=row["suppressed_by"],
            twins=tuple(one["action_id"] for one in story["actions"] if one["suppressed_by"] == row["action_id"]),
            approval=words.get(row["action_id"]),
        )


def _approval(row: Row, versions: Mapping[uuid.UUID, Sequence[VersionAsked]]) -> ApprovalAsked:
    return ApprovalAsked(
        approval_id=row["approval_id"],
        state=row["state"],
        requested_at=row["requested_at"],
        expires_at=row["expires_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
        way=row.get("way"),
        reason=row["reason"],
        versions=tuple(versions.get(row["approval_id"], ())),
        row=row,
    )


def _steps(story: Mapping[str, Any]) -> Iterator[Step]:
    start = story["signal"]["received_at"]
    for row in story["trail"]:
        yield Step(row["at"], (row["at"] - start).total_seconds(), row["what"], row["action_id"], row["detail"])
