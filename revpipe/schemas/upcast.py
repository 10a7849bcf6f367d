"""Old records climb to the present shape one step at a time; each step is a pure function of the record."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from revpipe.errors import BadPayload
from revpipe.signals import SCHEMA_VERSION

STEPS: Final[dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""Version a step starts from → the step to the next one."""


def to_current(record: Mapping[str, Any]) -> dict[str, Any]:
    """`record` in the newest shape. Raises BadPayload for a version that this release does not know."""
    version = record.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise BadPayload("unknown_schema_version", f"version {version!r}; this release knows 1 to {SCHEMA_VERSION}")
    current = dict(record)
    for step in range(version, SCHEMA_VERSION):
        current = STEPS[step](current)
        current["schema_version"] = step + 1
    return current
