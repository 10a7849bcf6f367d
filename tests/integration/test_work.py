"""Claims: each row with one worker at a time, whoever asks, however often, and however late."""

import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest
from sqlalchemy import text

from revpipe import feed, work
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.work import SIGNALS, Chunk, Claim
from tests.integration.ledger_fixtures import MovableClock, at_once, call, one, put, rows, sent, signal_id


def take(services: Services, chunk: Chunk, stage: str = "enrich") -> Claim:
    with transaction(services.engine) as tx:
        return work.claim(tx, SIGNALS, stage, chunk, services.clock.now())


def sent_chunk(services: Services, count: int = 20) -> Chunk:
    put(services, *(call(f"c{number}", f"d{number}") for number in range(count)))
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    assert len(chunk.ids) == count
    return chunk


def test_eight_workers_claim_one_chunk_and_each_row_has_one_of_them(services: Services) -> None:
    chunk = sent_chunk(services, 40)
    claims = at_once(8, lambda _: take(services, chunk))
    taken = [row_id for held in claims for row_id in held.ids]
    assert sorted(taken) == sorted(chunk.ids)
    for held in claims:
        stored = rows(services, "SELECT claim_id FROM signals WHERE signal_id = ANY(:ids)", ids=held.ids)
        assert {row["claim_id"] for row in stored} <= {held.claim_id}


def test_a_row_that_is_locked_for_a_moment_is_waited_for(services: Services) -> None:
    chunk = sent_chunk(services, 3)
    with ThreadPoolExecutor(1) as pool:
        with transaction(services.engine) as tx:
            tx.execute(text("SELECT 1 FROM signals WHERE signal_id = :id FOR UPDATE"), {"id": chunk.ids[1]})
            claim = pool.submit(take, services, chunk)
            assert not wait([claim], timeout=0.3).done
        assert sorted(claim.result(10).ids) == sorted(chunk.ids)


def test_a_claim_counts_the_attempt_and_says_who_has_it_until_when(services: Services, clock: MovableClock) -> None:
    chunk = sent_chunk(services, 1)
    held = take(services, chunk)
    row = one(services, "SELECT * FROM signals")
    assert (row["attempts"], row["worker"]) == (1, work.worker_name())
    assert row["lease_until"] == clock.now() + work.LEASE
    assert row["tried_at"] == clock.now()
    assert held.rows[0]["attempts"] == 1
    assert held.rows[0]["claim_id"] is None


def test_an_older_send_number_gets_nothing(services: Services, clock: MovableClock) -> None:
    old = sent_chunk(services, 3)
    with transaction(services.engine) as tx:
        work.postpone(tx, SIGNALS, old.ids, clock.now())
    assert feed.offer(services, ["enrich.standard"]) == 3
    (new,) = sent(services, "signals", "stage = 'enrich'")
    assert new.send_no > old.send_no
    assert take(services, old).ids == []
    assert sorted(take(services, new).ids) == sorted(old.ids)


@pytest.mark.parametrize("stage", ["decide", "execute"])
def test_a_row_at_another_stage_is_not_for_the_taking(services: Services, stage: str) -> None:
    assert take(services, sent_chunk(services, 2), stage).ids == []


def test_a_row_that_is_due_but_not_sent_is_not_for_the_taking(services: Services, clock: MovableClock) -> None:
    chunk = sent_chunk(services, 2)
    with transaction(services.engine) as tx:
        work.postpone(tx, SIGNALS, chunk.ids[:1], clock.now())
    assert take(services, chunk).ids == [chunk.ids[1]]


def test_an_expired_lease_can_be_taken_again_and_the_first_holder_has_lost(
    services: Services, clock: MovableClock
) -> None:
    chunk = sent_chunk(services, 2)
    first = take(services, chunk)
    clock.move(seconds=29)
    assert take(services, chunk).ids == []
    clock.move(seconds=2)
    second = take(services, chunk)
    assert second.ids == first.ids
    assert [row["attempts"] for row in second.rows] == [2, 2]
    with transaction(services.engine) as tx:
        assert work.still_held(tx, first) == []
        assert work.still_held(tx, second) == second.ids
        assert work.renew(tx, first, clock.now()) == set()


def test_a_renewed_lease_lasts_longer(services: Services, clock: MovableClock) -> None:
    chunk = sent_chunk(services, 1)
    held = take(services, chunk)
    with transaction(services.engine) as tx:
        assert work.renew(tx, held, clock.move(seconds=20)) == set(chunk.ids)
    clock.move(seconds=20)
    assert take(services, chunk).ids == []


def test_move_starts_the_next_work_afresh_and_postpone_goes_on_counting(
    services: Services, clock: MovableClock
) -> None:
    chunk = sent_chunk(services, 2)
    take(services, chunk)
    moved, postponed = chunk.ids
    with transaction(services.engine) as tx:
        work.move(tx, SIGNALS, [moved], {"state": "enriched", "stage": "decide"})
        work.postpone(tx, SIGNALS, [postponed], clock.now() + timedelta(seconds=5))
        work.move(tx, SIGNALS, [], {"state": "done"})
        work.postpone(tx, SIGNALS, [], clock.now())
    found = {row["signal_id"]: row for row in rows(services, "SELECT * FROM signals")}
    assert (found[moved]["attempts"], found[moved]["stage"], found[moved]["tried_at"]) == (0, "decide", None)
    assert (found[postponed]["attempts"], found[postponed]["sent_at"]) == (1, None)
    assert found[postponed]["due_at"] == clock.now() + timedelta(seconds=5)
    assert all(row["claim_id"] is None and row["lease_until"] is None for row in found.values())


def test_a_claim_can_be_narrowed(services: Services) -> None:
    held = take(services, sent_chunk(services, 3))
    part = held.only(held.rows[:1])
    assert (part.claim_id, part.ids) == (held.claim_id, held.ids[:1])


def test_ids_that_are_nobodys_are_passed_over(services: Services) -> None:
    chunk = sent_chunk(services, 1)
    assert take(services, Chunk((uuid.uuid4(), *chunk.ids), chunk.send_no)).ids == [signal_id("c0")]
