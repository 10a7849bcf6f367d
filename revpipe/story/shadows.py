"""What rules in shadow would have done for a signal, a line for each that fired."""

from collections.abc import Iterator, Mapping
from typing import Any


def lines(story: Mapping[str, Any], margin: str) -> Iterator[str]:
    """Told of the latest decision; stories of a release before have none."""
    for one in story.get("shadow_outcomes", ()):
        wanted = [action["type"] for action in one["actions"] if not action["reason"]]
        held = [f"{one['type']} ({_words(one['reason'])})" for one in one["actions"] if one["reason"]]
        told = [
            f"would have planned {', '.join(wanted)}" if wanted else "",
            f"held back {', '.join(held)}" if held else "",
            "would have settled the signal" if one["settles"] else "",
        ]
        yield f"{margin}in shadow {one['rule_id']}: " + ("; ".join(word for word in told if word) or "fired")


def _words(reason: str) -> str:
    return reason.replace("_", " ")
