"""Whether the facts that a plan stood on still hold: the world of then beside the world of now. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from revpipe.cases import Case
from revpipe.contexts import value
from revpipe.models.action import OPEN
from revpipe.plan_history import Known
from revpipe.ports import Parts
from revpipe.recipients import ADDRESSED
from revpipe.rules.book import RuleBook
from revpipe.rules.deal_facts import moment

REASONS: Final = (
    "deal_gone",
    "deal_closed",
    "owner_changed",
    "contact_unsubscribed",
    "contact_replied",
    "newer_plan",
    "rule_no_longer_true",
)
"""Codes of what may keep an approved action from going out."""


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that holds no more: which, and what it was and is, in ids, codes and numbers."""

    reason: str
    was: Any = None
    now: Any = None


def of_deal(before: Parts, after: Parts) -> Change | None:
    """What happened to the deal that makes the plan pointless."""
    then, now = value(before, "deal"), value(after, "deal")
    if not then:
        return None
    if not now:
        return Change("deal_gone", then.get("id"), None)
    if now.get("is_closed") is True and then.get("is_closed") is not True:
        return Change("deal_closed", then.get("stage"), now.get("stage"))
    if then.get("owner_id") != now.get("owner_id"):
        return Change("owner_changed", then.get("owner_id"), now.get("owner_id"))
    return None


def of_contact(type: str, after: Parts, planned_at: datetime) -> Change | None:
    """Why nobody should write to the contact any more; of no matter for what goes to nobody outside."""
    if type not in ADDRESSED:
        return None
    contact = value(after, "contact")
    if contact.get("unsubscribed") is True:
        return Change("contact_unsubscribed", None, True)
    replied = moment(contact.get("replied_at"))
    if replied is not None and replied > planned_at:
        return Change("contact_replied", planned_at.isoformat(), replied.isoformat())
    return None


def of_plans(action: Mapping[str, Any], lately: Iterable[Mapping[str, Any]]) -> Change | None:
    """A later plan for the same subject that wants an action of the same type: that one knows more."""
    for one in lately:
        later = one["created_at"] > action["created_at"] and one["action_id"] != action["action_id"]
        if later and one["type"] == action["type"] and one["state"] in (*OPEN, "done"):
            return Change("newer_plan", str(action["plan_id"]), str(one["action_id"]))
    return None


def of_rule(rule_id: str, book: RuleBook | None, case: Case, known: Known, now: datetime) -> Change | None:
    """Whether the rule would still fire, by the book that decided; None for the book can't be read any more."""
    if book is None:
        return Change("rule_no_longer_true", rule_id, "version_unreadable")
    facts, *others = case.facts(known.facts(), now)
    outcomes = (one for one in book.evaluate(facts, others).outcomes if one.rule_id == rule_id)
    outcome = next(outcomes, None)
    if outcome is not None and outcome.fired:
        return None
    terms = outcome.terms if outcome is not None else ()
    failed = next((at for at, term in enumerate(terms, start=1) if term.held is not True), None)
    return Change("rule_no_longer_true", rule_id, f"term {failed}" if failed else "not_asked")


def without(known: Known, own: Sequence[Any], planned_at: datetime) -> Known:
    """What was known of the subject when the plan was made: without what it planned itself, and what came later."""
    actions = [one for one in known.actions if one["action_id"] not in own and one["created_at"] <= planned_at]
    return Known(actions, known.signals_7d, known.since, known.decided_at, known.others_wait)
