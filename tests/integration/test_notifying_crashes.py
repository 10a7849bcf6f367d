"""A worker killed at each boundary between two steps of a request: it is shown all the same, and stands there once."""

import signal
from datetime import timedelta

import pytest

from revpipe import sweep
from revpipe.crash import POINTS
from revpipe.notifying import telling
from tests.integration import dying_notifier
from tests.integration.forked import processes
from tests.integration.ledger_fixtures import MovableClock
from tests.integration.messenger_fixtures import (
    CHANNEL,
    Workspace,
    far_side,
    notifying_offer,
    on_their_way,
    requests,
    workspace,
)

__all__ = ["far_side", "workspace"]

NOTIFYING = [point for point in POINTS if point.startswith("notify.")]
NAMED = (
    *("database_url", "redis_url", "broker_url"),
    *("slack_bot_token", "slack_base_url", "slack_default_channel", "public_url"),
)
"""The settings of a worker."""


def killed_at(workspace: Workspace, point: str) -> None:
    """Work the first chunk in a process of its own that dies at `point`."""
    settings = {name: getattr(workspace.services.settings, name) for name in NAMED}
    chunk = on_their_way(workspace.services)[0]
    child = processes().Process(target=dying_notifier.run, args=(point, settings, chunk))
    child.start()
    child.join(timeout=60)
    assert child.exitcode == -signal.SIGKILL, f"{point} was never reached"


@pytest.mark.parametrize("point", NOTIFYING)
def test_every_crash_point_is_survived(workspace: Workspace, clock: MovableClock, point: str) -> None:
    action_id = workspace.ask()
    telling.tell(workspace.services)
    notifying_offer(workspace.services)
    killed_at(workspace, point)
    clock.move(seconds=timedelta(minutes=2).total_seconds())
    sweep.sweep(workspace.services)
    for _ in range(4):
        workspace.tell()
        clock.move(seconds=15)
    assert workspace.message(action_id)["channel"] == CHANNEL
    assert workspace.control.duplicates("slack") == []
    assert {(row["state"], row["queue"]) for row in requests(workspace.services)} == {("shown", None)}
