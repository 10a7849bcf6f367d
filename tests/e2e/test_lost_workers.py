"""Workers killed and the broker emptied in the middle of the work: all of it ends, each effect once."""

import pytest

from tests.broker_control import control
from tests.e2e.conftest import System
from tests.e2e.processes import until
from tests.members import workers


def _some_done(running: System, deals: list[str]) -> bool:
    return 0 < len(running.vendors.done("tasks.create", deals)) < len(deals)


def _flood(running: System, count: int) -> list[str]:
    """A signal for each of `count` deals, at a HubSpot slow enough that something can happen in the middle."""
    deals = running.vendors.overdue_deals(count)
    events = [event for deal in deals for event in running.vendors.edit(deal, amount="9800")]
    running.vendors.control.fault("hubspot", "latency", path="*tasks*", method="POST", seconds=0.4)
    for start in range(0, count, 50):
        assert running.door.hubspot(events[start : start + 50]).status == 202
    until(lambda: _some_done(running, deals), "the first tasks")
    return deals


def _check(running: System, deals: list[str], cause: str) -> None:
    """All ended, each effect once, and the sweep had a part in it: else nothing was lost on the way."""
    running.vendors.control.heal()
    ended = running.ledger.all_ended(deals, len(deals), 100)
    assert {row["disposition"] for row in ended} == {"acted"}
    done = running.vendors.done("tasks.create", deals)
    assert len(done) == len(deals)
    assert len({one["marker"] for one in done}) == len(deals)
    swept = running.ledger.rows(
        "SELECT count(*) AS found FROM trail t JOIN signals s USING (signal_id)"
        " WHERE t.what = 'swept' AND t.detail->>'cause' = :cause AND s.deal_id = ANY(:deals)",
        cause=cause,
        deals=deals,
    )
    assert swept[0]["found"] > 0


@pytest.mark.timeout(240)
def test_all_workers_killed_in_the_middle_of_200_signals(running: System) -> None:
    deals = _flood(running, 200)
    killed = workers(running.pid)
    assert len(killed) == 3
    for one in killed:
        one.kill()
    gone = {one.pid for one in killed}
    fresh = until(lambda: [one.pid for one in workers(running.pid) if one.pid not in gone][1:], "two new workers")
    assert fresh
    _check(running, deals, "lease_expired")


@pytest.mark.timeout(240)
def test_the_broker_emptied_in_the_middle_of_100_signals(running: System) -> None:
    deals = _flood(running, 100)
    broker = control(running.ledger.broker_url)
    broker.flush()
    broker.close()
    _check(running, deals, "broker_flushed")
