"""The shape of each kind of stored record that this release writes; it reads all older ones by `upcast`."""

from typing import Final

from revpipe.signals import SCHEMA_VERSION

VERSIONS: Final[dict[str, int]] = {"signal": SCHEMA_VERSION, "context": 1, "plan": 1, "action": 1}
"""Kind of record → its newest version. Raising one needs a step in `upcast` and a corpus in tests/corpus."""
