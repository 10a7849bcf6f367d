"""A request for approval in the words of its page: what, to whom, until when, what then, and who changed it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from revpipe.approvals import View, texts
from revpipe.story.words import span
from revpipe.web.console.diffs import Change, changes
from revpipe.web.console.fields import Field, fields
from revpipe.web.current import services

TYPES: Final = {
    "draft_followup": "Follow-up draft",
    "send_email": "E-mail",
    "update_crm": "CRM update",
    "create_task": "Task",
    "send_alert": "Alert",
    "enroll_sequence": "Sequence",
    "webhook": "Webhook",
}
AT_EXPIRY: Final = {
    "execute": "policy carries it out, if its facts still hold",
    "escalate": "it goes to the stand-in or an operator",
    "reject": "it is rejected",
    "expire": "it ends without effect",
}
DECIDED_BY: Final = {"rules": "a rule", "llm": "the language model", "fallback": "the fallback rules"}
STATES: Final = {
    "approved": "Approved",
    "rejected": "Rejected",
    "expired": "Expired",
    "escalated": "Escalated",
    "cancelled": "Cancelled",
}
WAYS: Final = {
    "slack": "in Slack",
    "email": "by e-mail",
    "console": "in the console",
    "cli": "at the terminal",
    "api": "through the API",
    "policy": "by policy",
}
NEAR_SECONDS: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class Edit:
    """One version after the first: who made it, and what it changed."""

    version: int
    by: str
    way: str
    at: datetime
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A view with all that its page says of it; `left_s` is how many seconds are left, never below 0."""

    view: View
    kind: str
    title: str
    left_s: int
    fields: tuple[Field, ...]
    edits: tuple[Edit, ...]
    ending: str
    """What policy does when its time is up."""

    @property
    def open(self) -> bool:
        """Whether it can still be decided."""
        return self.view.state == "open"

    @property
    def cut(self) -> bool:
        """Whether something of it is too long for its page, so that nobody can say yes to all of it there."""
        return any(field.cut for field in self.fields)

    @property
    def left(self) -> str:
        """The time that is left, in words."""
        return span(self.left_s) if self.left_s else "no time"

    @property
    def near(self) -> bool:
        """Whether its time is nearly up."""
        return self.open and self.left_s <= NEAR_SECONDS

    @property
    def at_expiry(self) -> str:
        """What happens if nobody decides."""
        return AT_EXPIRY[self.ending]

    @property
    def decided_by(self) -> str:
        """Who planned the action."""
        return DECIDED_BY.get(self.view.decided_by, self.view.decided_by)

    @property
    def about(self) -> str:
        """The deal by its name, or by its id."""
        view = self.view
        return view.deal_name or (f"deal {view.deal_id}" if view.deal_id else "no deal")

    @property
    def approver(self) -> str:
        """Who is asked."""
        asked = self.view.approver or {}
        return asked.get("email") or (f"any {asked['role']}" if asked.get("role") else "anyone who may")

    @property
    def word(self) -> str:
        """What was decided, in a word."""
        return STATES.get(self.view.state, self.view.state.capitalize())

    @property
    def standing(self) -> str:
        """Who won, when, by which way, and why; empty while it is open."""
        decided = self.view.decided
        if self.open:
            return ""
        if not decided:
            return self.word
        why = f": {decided['reason']}" if decided.get("reason") else ""
        return f"{self.word} {who(decided)}, {decided['at']:%Y-%m-%d %H:%M} UTC{why}"

    @property
    def outcome(self) -> str:
        """What became of the action; empty while it is on its way, or where the decision says it all."""
        state, _, reason = (self.view.outcome or "").partition(": ")
        if not state or state in ("rejected", "expired"):
            return ""
        return f"The action: {state}{', ' if reason else ''}{reason.replace('_', ' ')}."


def of(view: View, now: datetime) -> Shown:
    """A view as its page shows it at this time."""
    named = {field.name: field.text for field in fields(view.params)}
    title = named.get("subject") or named.get("title") or ", ".join(_summary(view.params)) or view.type
    return Shown(
        view=view,
        kind=TYPES.get(view.type, view.type.replace("_", " ").capitalize()),
        title=title[:200],
        left_s=max(0, int((view.expires_at - now).total_seconds())),
        fields=tuple(fields(view.params)),
        edits=tuple(edits(view.versions)),
        ending=texts.ending(view, services().policy.get(view.type)),
    )


def who(deed: Mapping[str, Any]) -> str:
    """By whom and by which way something was done; policy is both."""
    by, way = deed.get("by"), str(deed.get("way") or "")
    if not by or by == "policy":
        return "by policy"
    return f"by {by} {WAYS.get(way, way)}".rstrip()


def alike(one: View) -> tuple[Any, ...] | None:
    """What requests have in common that may be decided together; None for one that needs a look of its own.

    Only low risk, only what is shown whole, and only as planned: what a person has edited is like no other.
    """
    if one.state != "open" or one.risk != "low" or one.version != 1 or any(field.cut for field in fields(one.params)):
        return None
    return one.rule_id, one.type, tuple(sorted(one.params))


def versioned(text: str) -> tuple[uuid.UUID, int] | None:
    """The action and version that a form's box stands for, as `ID:VERSION`; None for anything else."""
    name, _, version = text.partition(":")
    try:
        return uuid.UUID(name), int(version)
    except ValueError:
        return None


def edits(versions: Sequence[Mapping[str, Any]]) -> list[Edit]:
    """What each version but the first has changed, the oldest in front."""
    made = sorted(versions, key=lambda one: int(one["version"]))
    return [
        Edit(
            version=new["version"],
            by=str(new["by"]),
            way=WAYS.get(new["way"], str(new["way"])),
            at=new["at"],
            changes=tuple(changes(old["params"], new["params"])),
        )
        for old, new in pairwise(made)
    ]


def _summary(params: Mapping[str, Any]) -> list[str]:
    return [f"{field.label} → {field.text}" for field in fields(params) if "." in field.name]
