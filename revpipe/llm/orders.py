"""From what a model wants to an action's params: code says where it goes, the model only what it says."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from revpipe.llm.answer import Proposal
from revpipe.llm.scope import Scope

LONGEST_STEP: Final = 250


def params(wanted: Proposal, scope: Scope) -> dict[str, Any]:
    """The params of an action that passed the guards. Raises KeyError for a type that is not BUILDABLE."""
    return _BUILD[wanted.type](wanted, scope)


def _task(wanted: Proposal, scope: Scope) -> dict[str, Any]:
    return {
        "subject": scope.mask.neutral(wanted.subject),
        "body": scope.mask.neutral(wanted.text),
        "due_in_days": 1 if wanted.due_in_days is None else wanted.due_in_days,
        "priority": "MEDIUM",
        "task_type": "TODO",
        "owner_id": scope.owner_id,
        "deal_id": wanted.deal_id,
        "account_id": wanted.account_id,
        "contact_id": wanted.contact_id,
    }


def _alert(wanted: Proposal, scope: Scope) -> dict[str, Any]:
    return {
        "channel": None,
        "title": scope.mask.neutral(wanted.subject),
        "text": scope.mask.neutral(wanted.text),
        "fields": {"Deal": wanted.deal_id} if wanted.deal_id else {},
        "link": scope.deal_url,
    }


def _draft(wanted: Proposal, scope: Scope) -> dict[str, Any]:
    to = scope.contact_email if wanted.to in (None, scope.contact_id) else wanted.to
    return {
        "to": to,
        "subject": scope.mask.name_people(wanted.subject),
        "body": scope.mask.name_people(wanted.text),
    }


def _update(wanted: Proposal, scope: Scope) -> dict[str, Any]:
    """The deal's next step, the one property that is for anybody's words."""
    step = scope.mask.neutral(f"{wanted.subject}: {wanted.text}")[:LONGEST_STEP]
    return {"object": "deal", "id": wanted.deal_id or scope.deal_id, "properties": {"hs_next_step": step}}


_BUILD: Final[Mapping[str, Callable[[Proposal, Scope], dict[str, Any]]]] = {
    "create_task": _task,
    "send_alert": _alert,
    "draft_followup": _draft,
    "update_crm": _update,
}
BUILDABLE: Final = tuple(_BUILD)
