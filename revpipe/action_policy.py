"""What the business decides about each type of action: who carries it out and whether a person must agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from config.queues import OUTBOUND
from revpipe.marked_yaml import Document, parse
from revpipe.rules.name_checks import guess

ACTION_TYPES: Final = (
    "draft_followup",
    "send_email",
    "update_crm",
    "create_task",
    "send_alert",
    "enroll_sequence",
    "webhook",
)
APPROVALS: Final = ("always", "never")
ON_EXPIRY: Final = ("expire",)
LONGEST_HOURS: Final = 24 * 30
_KEYS: Final = ("adapter", "approval", "expires_hours", "on_expiry")


@dataclass(frozen=True, slots=True)
class ActionPolicy:
    """The policy for one type. `expires` is how long an action may wait for a person."""

    type: str
    adapter: str
    approval: str
    expires: timedelta
    on_expiry: str

    def needs_person(self, rule_says: str | None) -> bool:
        """Whether a person must agree; a rule may ask for more care than the policy, never for less."""
        return "always" in (self.approval, rule_says)


def load(text: str, name: str = "actions.yaml") -> dict[str, ActionPolicy]:
    """The policies in `text` by action type.

    Raises Misconfigured with one line for each fault: `actions.yaml:LINE: what is wrong and what to do`.
    """
    document = parse(text, name)
    top = document.value
    if not isinstance(top, dict) or not isinstance(top.get("actions"), dict):
        document.fault((), "the file must have the key `actions`: a mapping from action type to its policy")
        document.raise_faults()
        return {}
    document.unknown_keys((), top, ("actions",))
    made = {kind: _policy(document, kind, item) for kind, item in top["actions"].items()}
    document.raise_faults()
    return made


def _policy(document: Document, kind: str, item: Any) -> ActionPolicy:
    path = ("actions", kind)
    if kind not in ACTION_TYPES:
        known = ", ".join(ACTION_TYPES)
        document.fault(path, f"unknown action type {kind!r}{guess(kind, ACTION_TYPES)} (there are {known})")
    if not isinstance(item, dict):
        document.fault(path, f"a policy must have the keys {', '.join(_KEYS)}")
        item = {}
    document.unknown_keys(path, item, _KEYS)
    return ActionPolicy(
        type=kind,
        adapter=_word(document, kind, item, "adapter", tuple(OUTBOUND)),
        approval=_word(document, kind, item, "approval", APPROVALS),
        expires=_hours(document, kind, item),
        on_expiry=_word(document, kind, item, "on_expiry", ON_EXPIRY),
    )


def _word(document: Document, kind: str, item: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = item.get(key)
    if value not in known:
        said = "is missing" if value is None else f"can't be {value!r}"
        document.fault(("actions", kind, key), f"{kind}: `{key}` {said}; write one of {', '.join(known)}")
    return str(value)


def _hours(document: Document, kind: str, item: Mapping[str, Any]) -> timedelta:
    value = item.get("expires_hours")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_HOURS:
        fault = f"{kind}: `expires_hours` must be a number above 0, at most {LONGEST_HOURS}"
        document.fault(("actions", kind, "expires_hours"), fault)
        return timedelta(hours=1)
    return timedelta(hours=value)
