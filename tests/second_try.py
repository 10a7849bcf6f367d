"""Whether what failed may be tried once more: `python -m tests.second_try`, after a run that failed on a new machine.

Tests of whole systems wait for real processes, with a patience that a machine may exceed that stands still for a
minute. A second try of one or two of them, by themselves, tells that from a fault; `.ci/run` names them, for a test
that needed it is to be mended. What shows that nothing is lost or doubled gets none: once is too often there.
"""

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

CACHE: Final = Path(".pytest_cache/v/cache/lastfailed")
WHOLE_SYSTEMS: Final = ("tests/e2e/", "tests/integration/browser/")
FINAL: Final = ("tests/e2e/chaos/", "tests/e2e/test_at_once", "tests/e2e/test_crash_points")
MOST: Final = 2


def allowed(failed: Collection[str]) -> bool:
    """Whether these tests, by their ids, may be tried again."""
    return 0 < len(failed) <= MOST and all(
        one.startswith(WHOLE_SYSTEMS) and not one.startswith(FINAL) for one in failed
    )


def main() -> int:
    """Name what is to be tried again; 1 if nothing is."""
    failed = sorted(json.loads(CACHE.read_text(encoding="utf-8"))) if CACHE.exists() else []
    if not allowed(failed):
        return 1
    sys.stdout.write("".join(f"to be tried once more, alone: {one}\n" for one in failed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
