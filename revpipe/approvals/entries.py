"""What the trail tells of approvals: ways, versions and codes, never a name."""

from collections.abc import Mapping
from typing import Any

from revpipe import trail
from revpipe.actors import Actor


def entry(what: str, action: Mapping[str, Any], detail: Mapping[str, Any]) -> trail.Entry:
    """One thing that happened to an action that a person must agree to."""
    return trail.Entry(what, action["signal_id"], action["action_id"], action["correlation_id"], detail)


def by(actor: Actor, **more: Any) -> dict[str, Any]:
    """Which way somebody spoke, and further details that say something."""
    return {"way": actor.way, **{name: value for name, value in more.items() if value is not None}}
