"""How a signal ends: once, when its last action has ended, and by the first disposition that fits."""

import itertools
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from config.queues import QUEUES
from revpipe import act, dispositions, feed
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.models.action import OPEN
from revpipe.models.action import STATES as ACTION_STATES
from revpipe.models.signal import DISPOSITIONS
from revpipe.services import Services
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    at_once,
    call,
    one,
    put,
    rows,
    run_act,
    run_to,
    sent,
    signal_id,
    signal_row,
    take_messages,
    trail_of,
)

ENDED = [state for state in ACTION_STATES if state not in OPEN]


def waiting(services: Services, name: str, states: Sequence[str]) -> None:
    """A signal that waits for a task and an alert, which are put into the states given."""
    put(services, call(name, f"d-{name}"))
    run_to(services, "execute")
    for kind, state in zip(("create_task", "send_alert"), states, strict=True):
        rows(
            services,
            "UPDATE actions SET state = :state, queue = NULL, reason = :reason WHERE signal_id = :id AND type = :kind",
            state=state,
            reason=f"because_{state}" if state != "done" else None,
            id=signal_id(name),
            kind=kind,
        )


def settle(services: Services, *names: str) -> None:
    with transaction(services.engine) as tx:
        dispositions.settle(tx, [signal_id(name) for name in names], services.clock.now())


def test_the_precedence_of_dispositions() -> None:
    order = [
        "dead_lettered",
        "acted",
        "rejected",
        "expired",
        "suppressed",
        "coalesced",
        "nothing_due",
    ]
    assert list(DISPOSITIONS) == order
    for size in (1, 2, 3, 7):
        for some in itertools.permutations(order, size) if size < 4 else [tuple(reversed(order))]:
            assert dispositions.first_that_fits(some) == min(some, key=order.index)
    assert dispositions.first_that_fits([]) == "nothing_due"


def test_every_state_in_which_an_action_has_ended_has_its_disposition() -> None:
    assert set(dispositions.OF_ACTION) == set(ENDED)


def test_every_pair_of_ended_actions_ends_its_signal_by_the_table(services: Services) -> None:
    pairs = list(itertools.combinations_with_replacement(ENDED, 2))
    names = {f"{one}-{two}": (one, two) for one, two in pairs}
    for name, states in names.items():
        waiting(services, name, states)
    settle(services, *names)
    for name, states in names.items():
        row = signal_row(services, name)
        expected = min((dispositions.OF_ACTION[state] for state in states), key=DISPOSITIONS.index)
        assert (row["state"], row["disposition"]) == ("done", expected), name
        assert (row["reason"] is None) == (expected == "acted"), name
        assert trail_of(services, name).count("settled") == 1


@pytest.mark.parametrize("state", OPEN)
def test_an_action_in_flight_keeps_its_signal_open(services: Services, state: str) -> None:
    waiting(services, "a", ("done", state))
    settle(services, "a")
    assert (signal_row(services, "a")["state"], signal_row(services, "a")["disposition"]) == ("waiting", None)


def test_settling_again_writes_nothing_more(services: Services) -> None:
    waiting(services, "a", ("done", "done"))
    settle(services, "a")
    settle(services, "a", "a")
    assert trail_of(services, "a").count("settled") == 1


def test_two_actions_that_end_at_once_settle_their_signal_exactly_once(services: Services) -> None:
    for turn in range(12):
        name = f"s{turn}"
        put(services, call(name, f"d-{name}"))
        run_to(services, "execute")
        task, alert = sent(services, "actions", "state = 'ready'")
        take_messages(services, "act")
        pair: list[Chunk] = [task, alert]
        at_once(2, lambda at, pair=pair: act.run(pair[at], services))  # type: ignore[misc]
        assert signal_row(services, name)["disposition"] == "acted"
        assert trail_of(services, name).count("settled") == 1


def test_actions_of_many_signals_that_end_at_once_do_not_wait_in_a_ring(services: Services) -> None:
    names = [f"s{number}" for number in range(30)]
    put(services, *(call(name, f"d-{name}") for name in names))
    run_to(services, "execute")
    while chunks := sent(services, "actions", "state = 'ready'"):
        take_messages(services, "act")
        parts = [
            Chunk(part, chunk.send_no)
            for chunk in chunks
            for part in (chunk.ids[::2], tuple(reversed(chunk.ids[1::2])))
            if part
        ]
        at_once(len(parts), lambda at, parts=parts: act.run(parts[at], services))  # type: ignore[misc]
        feed.offer(services, [name for name, queue in QUEUES.items() if queue.task == "act"])
    assert {signal_row(services, name)["disposition"] for name in names} == {"acted"}
    assert {trail_of(services, name).count("settled") for name in names} == {1}


def test_one_buried_action_outweighs_one_that_was_done(services: Services, hubspot: FakeAdapter) -> None:
    hubspot.script = lambda order: Permanent("no such owner")
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    states = rows(services, "SELECT type, state FROM actions ORDER BY type")
    assert [row["state"] for row in states] == ["failed", "done"]
    assert signal_row(services, "a")["disposition"] == "dead_lettered"


def test_the_table_refuses_an_end_without_a_disposition_and_the_reverse(services: Services) -> None:
    put(services, call("a"))
    for change in ("state = 'done'", "disposition = 'acted'", "disposition = 'forgotten', state = 'done'"):
        with pytest.raises(IntegrityError):
            rows(services, f"UPDATE signals SET {change}")
    assert one(services, "SELECT state FROM signals") == {"state": "received"}


@pytest.mark.parametrize(("stage", "state"), [("enrich", "received"), ("decide", "enriched"), ("execute", "decided")])
def test_an_ended_signal_goes_back_to_work_as_if_it_had_never_been_tried(
    services: Services, clock: MovableClock, stage: str, state: str
) -> None:
    put(services, call("a", urgency="high"))
    at = clock.move(days=3)
    rows(services, "UPDATE signals SET attempts = 7, deaths = 2, waits_for = 'crm', lease_until = :at", at=at)
    with transaction(services.engine) as tx:
        dispositions.finish(tx, [signal_id("a")], "dead_lettered", "exhausted", at)
        assert dispositions.reopen(tx, signal_id("a"), stage=stage, due=at + timedelta(minutes=1))
    row = signal_row(services, "a")
    assert (row["state"], row["stage"], row["queue"], row["due_at"]) == (
        state,
        stage,
        f"{stage}.high",
        at + timedelta(minutes=1),
    )
    assert (row["attempts"], row["deaths"], row["expires_at"]) == (0, 0, at + timedelta(hours=24, minutes=1))
    cleared = ("disposition", "reason", "done_at", "tried_at", "sent_at", "claim_id", "lease_until", "waits_for")
    assert {row[name] for name in cleared} == {None}


def test_a_signal_that_is_under_way_or_not_there_is_not_put_back(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    before = signal_row(services, "a")
    now = clock.now()
    with transaction(services.engine) as tx:
        for name in ("a", "nobody"):
            assert not dispositions.reopen(tx, signal_id(name), stage="decide", due=now)
            assert not dispositions.reopen_waiting(tx, signal_id(name), now)
    assert signal_row(services, "a") == before


def test_a_signal_waits_again_for_an_action_that_is_carried_out_anew_and_ends_by_it(services: Services) -> None:
    waiting(services, "a", ("failed", "done"))
    settle(services, "a")
    rows(services, "UPDATE actions SET state = 'ready' WHERE type = 'create_task'")
    with transaction(services.engine) as tx:
        assert dispositions.reopen_waiting(tx, signal_id("a"), services.clock.now())
    row = signal_row(services, "a")
    assert (row["state"], row["queue"], row["disposition"]) == ("waiting", None, None)
    rows(services, "UPDATE actions SET state = 'done' WHERE type = 'create_task'")
    settle(services, "a")
    assert signal_row(services, "a")["disposition"] == "acted"
    counts = {row["name"]: row["n"] for row in rows(services, "SELECT name, sum(n) AS n FROM tallies GROUP BY 1")}
    assert counts == {"accepted": 1, "dead_lettered": 0, "acted": 1}
