"""Old records climb to the present shape one step at a time; each step is a pure function of the record."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from revpipe.errors import BadPayload, NewerVersion
from revpipe.schemas.versions import VERSIONS

STEPS: Final[dict[str, dict[int, Callable[[dict[str, Any]], dict[str, Any]]]]] = {kind: {} for kind in VERSIONS}
"""Kind of record → version a step starts from → the step to the next one."""


def to_current(record: Mapping[str, Any], kind: str = "signal") -> dict[str, Any]:
    """`record` in the newest shape of its kind.

    Raises NewerVersion for one that a later release wrote, BadPayload for what no release ever wrote.
    """
    version, newest = record.get("schema_version"), VERSIONS[kind]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BadPayload("unknown_schema_version", f"version {version!r}; this release knows 1 to {newest}")
    if version > newest:
        raise NewerVersion(kind, version, newest)
    current = dict(record)
    for step in range(version, newest):
        current = STEPS[kind][step](current)
        current["schema_version"] = step + 1
    return current
