"""What was in work when its worker died goes on alone, and only what kills alone is given up."""

from datetime import timedelta

import pytest

from config.queues import GROUP, QUEUES
from revpipe import feed, sweep, work
from revpipe.db import transaction
from revpipe.quarantine import DEATHS
from revpipe.services import Services
from revpipe.work import ACTIONS, SIGNALS, Chunk, Table
from tests.integration.ledger_fixtures import (
    FakeAdapter,
    MovableClock,
    at_once,
    call,
    one,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    sent,
    signal_id,
    signal_row,
    take_messages,
    trail_of,
)


def die_with(services: Services, clock: MovableClock, table: Table, chunk: Chunk) -> None:
    """A worker claims the chunk and is never heard of again; the sweep finds out."""
    stage = "act" if table is ACTIONS else "enrich"
    take_messages(services, stage)
    with transaction(services.engine) as tx:
        assert work.claim(tx, table, stage, chunk, clock.now()).ids
    clock.move(seconds=31)
    sweep.sweep(services)


def in_quarantine(services: Services) -> Chunk:
    """The one chunk that the quarantine of stage enrich has sent."""
    (chunk,) = sent(services, "signals", "queue = 'enrich.quarantine'")
    return chunk


def test_of_a_chunk_of_100_the_one_that_kills_is_buried_and_99_go_on(services: Services, clock: MovableClock) -> None:
    put(services, *(call(f"c{number}", f"d{number}", urgency="low") for number in range(100)))
    poison = signal_id("c57")
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    assert len(chunk.ids) == 100
    die_with(services, clock, SIGNALS, chunk)
    deaths: list[int] = []
    rounds = 0
    while feed.offer(services, ["enrich.quarantine"]) or sent(services, "signals", "queue = 'enrich.quarantine'"):
        rounds += 1
        let_in = in_quarantine(services)
        if poison in let_in.ids and len(deaths) < DEATHS:
            deaths.append(len(let_in.ids))
            die_with(services, clock, SIGNALS, let_in)
        else:
            run_stage(services, "enrich")
    assert deaths == [GROUP, *[1] * (DEATHS - 1)]
    # Nine good groups, the one that died, nine innocents of it alone, and the deaths and the burial of the one.
    assert rounds == 100 // GROUP + GROUP - 1 + DEATHS
    assert (
        one(services, "SELECT count(*) AS n FROM signals WHERE state = 'enriched' AND queue = 'decide.low'")["n"] == 99
    )
    row = signal_row(services, "c57")
    assert (row["disposition"], row["reason"]) == ("dead_lettered", "kills_its_worker")
    letter = one(services, "SELECT * FROM dead_letters")
    assert (letter["signal_id"], letter["reason"], letter["attempts"]) == (poison, "kills_its_worker", DEATHS + 2)
    assert f"{DEATHS} workers died" in letter["error"]
    mates = rows(services, "SELECT DISTINCT deaths, attempts FROM signals WHERE state = 'enriched'")
    assert mates == [{"deaths": 0, "attempts": 0}]


def test_quarantine_has_one_row_in_work_whoever_offers(services: Services, clock: MovableClock) -> None:
    put(services, *(call(f"c{number}", f"d{number}") for number in range(8)))
    for chunk in sent(services, "signals", "stage = 'enrich'"):
        die_with(services, clock, SIGNALS, chunk)
    rows(services, "UPDATE signals SET deaths = 1")
    assert sum(at_once(6, lambda _: feed.offer(services, ["enrich.quarantine"]))) == 1
    take_messages(services, "enrich")
    (chunk,) = sent(services, "signals", "queue = 'enrich.quarantine'")
    with transaction(services.engine) as tx:
        work.claim(tx, SIGNALS, "enrich", chunk, clock.now())
    assert feed.offer(services, ["enrich.quarantine"]) == 0


def test_one_that_is_through_lets_the_next_in_and_leaves_quarantine(services: Services, clock: MovableClock) -> None:
    put(services, *(call(f"c{number}", f"d{number}") for number in range(GROUP + 1)))
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    die_with(services, clock, SIGNALS, chunk)
    feed.offer(services, ["enrich.quarantine"])
    first = in_quarantine(services)
    run_stage(services, "enrich")
    second = in_quarantine(services)
    assert (len(first.ids), len(second.ids)) == (GROUP, 1)
    run_stage(services, "enrich")
    assert {row["queue"] for row in rows(services, "SELECT queue FROM signals")} == {"decide.standard"}


def test_suspects_wait_for_those_that_have_not_died_in_quarantine(services: Services, clock: MovableClock) -> None:
    put(services, call("suspect"))
    clock.move(seconds=1)
    put(services, call("fresh", "d2"), call("fresh too", "d3"))
    rows(services, "UPDATE signals SET queue = 'enrich.quarantine', sent_at = NULL")
    rows(services, "UPDATE signals SET deaths = 1 WHERE deal_id = 'd1'")
    take_messages(services, "enrich")
    feed.offer(services, ["enrich.quarantine"])
    assert set(in_quarantine(services).ids) == {signal_id("fresh"), signal_id("fresh too")}


def test_urgent_rows_are_let_in_first(services: Services, clock: MovableClock) -> None:
    put(services, call("slow", urgency="low"))
    clock.move(seconds=1)
    put(services, call("urgent", "d2", urgency="immediate"))
    take_messages(services, "enrich")
    for chunk in sent(services, "signals", "stage = 'enrich'"):
        with transaction(services.engine) as tx:
            work.claim(tx, SIGNALS, "enrich", chunk, clock.now())
    clock.move(seconds=31)
    sweep.sweep(services)
    feed.offer(services, ["enrich.quarantine"])
    assert signal_id("urgent") in in_quarantine(services).ids


def test_deaths_outside_quarantine_prove_nothing_against_a_row(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    die_with(services, clock, SIGNALS, chunk)
    assert (signal_row(services, "a")["deaths"], signal_row(services, "a")["queue"]) == (0, "enrich.quarantine")
    feed.offer(services, ["enrich.quarantine"])
    die_with(services, clock, SIGNALS, in_quarantine(services))
    assert signal_row(services, "a")["deaths"] == 1
    assert trail_of(services, "a") == ["received", "swept", "swept"]


def kill_thrice_alone(services: Services, clock: MovableClock) -> None:
    """An action whose worker dies in the open once and in quarantine as often as is allowed."""
    put(services, call("a"))
    run_to(services, "execute")
    (chunk,) = sent(services, "actions", "adapter = 'hubspot'")
    die_with(services, clock, ACTIONS, chunk)
    for _ in range(DEATHS):
        feed.offer(services, ["execute.hubspot.quarantine"])
        (chunk,) = sent(services, "actions", "queue = 'execute.hubspot.quarantine'")
        die_with(services, clock, ACTIONS, chunk)
    feed.offer(services, ["execute.hubspot.quarantine", "execute.slack.standard"])


def test_an_action_that_kills_before_its_call_is_buried(
    services: Services, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    kill_thrice_alone(services, clock)
    run_act(services)
    action = one(services, "SELECT * FROM actions WHERE adapter = 'hubspot'")
    assert (action["state"], action["reason"]) == ("failed", "kills_its_worker")
    assert one(services, "SELECT action_id FROM dead_letters")["action_id"] == action["action_id"]
    assert hubspot.count("perform") == 0
    assert signal_row(services, "a")["disposition"] == "dead_lettered"


def test_an_action_that_may_have_had_its_effect_is_left_to_a_person(
    services: Services, clock: MovableClock, hubspot: FakeAdapter
) -> None:
    kill_thrice_alone(services, clock)
    rows(services, "UPDATE actions SET maybe_done = true WHERE adapter = 'hubspot'")
    run_act(services)
    assert one(services, "SELECT state FROM actions WHERE adapter = 'hubspot'") == {"state": "unknown"}
    assert hubspot.count("perform") == 0
    assert signal_row(services, "a")["state"] == "waiting"


@pytest.mark.parametrize("queue", [name for name in QUEUES if name.endswith(".quarantine")])
def test_a_death_in_quarantine_stays_in_the_same_quarantine(
    services: Services, clock: MovableClock, queue: str
) -> None:
    put(services, call("a"))
    values = {"queue": queue, "past": clock.now() - timedelta(seconds=1), "id": signal_id("a")}
    rows(services, "UPDATE signals SET queue = :queue, lease_until = :past WHERE signal_id = :id", **values)
    sweep.sweep(services)
    assert (signal_row(services, "a")["queue"], signal_row(services, "a")["deaths"]) == (queue, 1)
