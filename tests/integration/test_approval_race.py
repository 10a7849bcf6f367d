"""200 actions, each approved, rejected and expired at the same instant from three processes."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from revpipe.services import Services
from tests.integration import approval_race
from tests.integration.forked import processes
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    call,
    offer_due,
    put,
    rows,
    run_act,
    run_recheck,
    run_to,
)
from tests.integration.ledger_rules import one_rule

ACTIONS = 200
TASK = (
    "    then:\n      - type: create_task\n        approval: always\n"
    '        params: {subject: a, deal_id: "{{ deal.id }}"}\n'
)


@pytest.fixture
def services(make_services: Callable[..., Services]) -> Services:
    return make_services(rules=one_rule(TASK))


def test_each_has_one_outcome_and_one_effect_where_it_was_approved(
    services: Services, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    put(services, *(call(f"r{at}", f"d{at}") for at in range(ACTIONS)))
    for _ in range(4):
        run_to(services, "execute")
        offer_due(services)
    ids = [row["action_id"] for row in rows(services, "SELECT action_id FROM approvals ORDER BY action_id")]
    assert len(ids) == ACTIONS
    rows(services, "UPDATE approvals SET expires_at = now() - interval '1 minute', on_expiry = 'expire'")
    answers = race(services, ids)
    won = {side: set(mine) for side, (mine, _) in answers.items()}
    states = dict(
        tuple(row.values())
        for row in rows(services, "SELECT action_id, state FROM approvals")  # type: ignore[misc]
    )
    assert Counter(states.values()).keys() <= {"approved", "rejected", "expired"}
    assert won["approve"] == {key for key, state in states.items() if state == "approved"}
    assert won["reject"] == {key for key, state in states.items() if state == "rejected"}
    assert not won["approve"] & won["reject"]
    # A race in which one side won all would show nothing.
    assert len(set(states.values())) >= 2, Counter(states.values())
    for side, (mine, told) in answers.items():
        if side != "expire":
            assert len(mine) + len(told) == ACTIONS
            assert all("already, by " in text for text in told)
    words = rows(
        services,
        "SELECT action_id, count(*) AS n FROM trail WHERE what IN ('approved', 'rejected', 'expired') GROUP BY 1",
    )
    assert {row["n"] for row in words} == {1}
    assert len(words) == ACTIONS
    # The sides went by the real clock, which went on meanwhile.
    clock.move(minutes=10)
    for _ in range(10):
        offer_due(services)
        run_recheck(services)
        run_act(services)
    performed = [action_id for what, action_id in hubspot.log if what == "perform"]
    assert Counter(performed) == Counter(won["approve"])
    assert rows(services, "SELECT 1 FROM signals WHERE state <> 'done'") == []


def race(services: Services, ids: list[Any]) -> dict[str, tuple[list[Any], list[str]]]:
    """What each side won, and what it was told of the rest."""
    context = processes()
    start, answers = context.Barrier(3), context.Queue()
    settings = {name: getattr(services.settings, name) for name in ("database_url", "redis_url", "broker_url")}
    sides = [
        context.Process(target=approval_race.run, args=(side, settings, ids, start, answers))
        for side in ("approve", "reject", "expire")
    ]
    for one in sides:
        one.start()
    told = [answers.get(timeout=100) for _ in sides]
    for one in sides:
        one.join(timeout=30)
        assert one.exitcode == 0
    return {side: (won, texts) for side, won, texts in told}
