"""Which of several test processes runs which file: what mostly waits beside what mostly computes.

Left to itself, pytest-xdist hands out the files with the most tests first. Those are the short ones that compute, and
the end-to-end files, minutes of waiting each, come last and all at once.
"""

from typing import Any, Final

from xdist.scheduler import LoadFileScheduling

WAITING: Final = ("tests/e2e/", *(f"tests/integration/test_{name}" for name in ("demo_with", "embedded", "formation")))
"""Files that wait for processes of the product most of the time."""
LONGEST: Final = (
    *("test_second_seed", "test_first_seed", "test_embedded", "test_formation", "test_killed_model"),
    *("test_lost_servers", "test_crash_points", "test_demo_with_model", "test_up", "test_settings_missing"),
    *("test_stages_alone", "test_watchdog", "test_shutdown", "test_frozen_worker", "test_story"),
    *("test_api_schemathesis", "test_query_plans", "test_sign_in", "test_slack_interactions", "test_access"),
    *("test_injections", "test_seals", "test_simulate", "test_second_pass", "test_commands"),
)
"""The ones to begin with, so that no process is left alone with one of them at the end."""
COMPUTING: Final = 2
"""Processes that begin with what computes; the others begin with what waits, and all help the others in the end."""


class MixedScheduling(LoadFileScheduling):  # type: ignore[misc]
    """A file at a time, chosen for the process that asks."""

    def _assign_work_unit(self, node: Any) -> None:
        computes = int(node.gateway.id.removeprefix("gw")) < COMPUTING
        self.workqueue.move_to_end(min(self.workqueue, key=lambda file: _rank(file, computes)), last=False)
        super()._assign_work_unit(node)


def _rank(file: str, computes: bool) -> tuple[bool, int]:
    """The least comes first; of files that are alike, the one that was listed first."""
    waits = file.startswith(WAITING)
    name = file.rpartition("/")[2].removesuffix(".py")
    return waits == computes, LONGEST.index(name) if name in LONGEST else len(LONGEST)
