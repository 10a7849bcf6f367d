"""The sweep: what was lost is due again, and what merely waits its turn is left where it is."""

from datetime import timedelta
from typing import Any

from revpipe import feed, sweep, work
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.work import ACTIONS, SIGNALS, Table
from tests.broker_control import BrokerControl
from tests.integration.ledger_fixtures import (
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
    signal_row,
    take_messages,
    trail_of,
)


def claim_all(services: Services, table: Table, stage: str) -> None:
    """Take every chunk of the table and never come back."""
    where = "state = 'ready'" if table is ACTIONS else f"stage = '{stage}'"
    for chunk in sent(services, table.name, where):
        with transaction(services.engine) as tx:
            assert work.claim(tx, table, stage, chunk, services.clock.now()).ids


def total(caught: dict[str, int], cause: str) -> int:
    return caught.get(cause, 0)


def as_sent(services: Services) -> None:
    """Let the rows say what the message at the head of the queue says: it has the real time, the rows the test's."""
    head = services.dispatcher.oldest("enrich.standard")
    assert head is not None
    rows(services, "UPDATE signals SET sent_at = :head", head=head)


def test_an_expired_lease_is_due_again_and_the_trail_says_whose_it_was(services: Services, clock: MovableClock) -> None:
    put(services, call("a"), call("b", "d2"))
    take_messages(services, "enrich")
    claim_all(services, SIGNALS, "enrich")
    clock.move(seconds=29)
    assert total(sweep.sweep(services), "lease_expired") == 0
    clock.move(seconds=2)
    assert total(sweep.sweep(services), "lease_expired") == 2
    row = signal_row(services, "a")
    assert (row["sent_at"], row["claim_id"], row["lease_until"], row["attempts"]) == (None, None, None, 1)
    assert row["due_at"] == clock.now()
    detail = one(services, "SELECT detail FROM trail WHERE what = 'swept' AND signal_id = :id", id=row["signal_id"])
    assert detail["detail"] == {
        "cause": "lease_expired",
        "queue": "enrich.standard",
        "attempt": 1,
        "worker": work.worker_name(),
    }
    assert feed.offer(services, ["enrich.quarantine"]) == 2
    run_stage(services, "enrich")
    assert trail_of(services, "a") == ["received", "swept", "enriched"]


def test_an_action_with_an_expired_lease_is_due_again(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    run_to(services, "execute")
    claim_all(services, ACTIONS, "act")
    clock.move(seconds=31)
    assert total(sweep.sweep(services), "lease_expired") == 2
    feed.offer(services, ["execute.hubspot.quarantine", "execute.slack.quarantine"])
    run_act(services)
    assert signal_row(services, "a")["disposition"] == "acted"


def test_a_message_that_was_lost_is_sent_again(services: Services, clock: MovableClock, broker: BrokerControl) -> None:
    put(services, call("a"))
    broker.empty("enrich.standard")
    clock.move(seconds=9)
    assert total(sweep.sweep(services), "message_lost") == 0
    clock.move(seconds=2)
    assert total(sweep.sweep(services), "message_lost") == 1
    assert trail_of(services, "a") == ["received", "swept"]
    assert feed.offer(services, ["enrich.standard"]) == 1


def test_what_waits_behind_a_message_in_its_queue_is_left_alone(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    put(services, call("b", "d2"))
    as_sent(services)
    clock.move(hours=2)
    assert total(sweep.sweep(services), "message_lost") == 0
    assert {row["sent_at"] is None for row in rows(services, "SELECT sent_at FROM signals")} == {False}


def test_what_the_queue_has_moved_past_was_lost_though_the_queue_is_full(
    services: Services, clock: MovableClock, broker: BrokerControl
) -> None:
    put(services, call("lost"))
    broker.empty("enrich.standard")
    put(services, call("waits", "d2"))
    as_sent(services)
    rows(services, "UPDATE signals SET sent_at = sent_at - interval '30 seconds' WHERE deal_id = 'd1'")
    clock.move(minutes=5)
    assert total(sweep.sweep(services), "message_lost") == 1
    assert signal_row(services, "lost")["sent_at"] is None
    assert signal_row(services, "waits")["sent_at"] is not None


def test_a_row_in_work_is_not_swept_however_long_it_takes(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    take_messages(services, "enrich")
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    with transaction(services.engine) as tx:
        held = work.claim(tx, SIGNALS, "enrich", chunk, clock.now())
    for _ in range(5):
        clock.move(seconds=20)
        with transaction(services.engine) as tx:
            work.renew(tx, held, clock.now())
        assert not any(sweep.sweep(services).values())


def test_a_link_that_was_never_published_is_found(services: Services, clock: MovableClock) -> None:
    """The stage committed, then its worker died before Celery published the next link."""
    put(services, call("a"))
    run_stage(services, "enrich")
    assert signal_row(services, "a")["stage"] == "decide"
    clock.move(seconds=11)
    assert total(sweep.sweep(services), "message_lost") == 1
    feed.offer(services, ["decide.standard"])
    run_stage(services, "decide")
    assert trail_of(services, "a")[:4] == ["received", "enriched", "swept", "decided"]


def test_after_a_flush_everything_unclaimed_is_due_at_once(
    services: Services, clock: MovableClock, broker: BrokerControl
) -> None:
    put(services, *(call(f"c{number}", f"d{number}") for number in range(30)), call("held", "dh", urgency="high"))
    (held,) = sent(services, "signals", "queue = 'enrich.high'")
    with transaction(services.engine) as tx:
        work.claim(tx, SIGNALS, "enrich", held, clock.now())
    broker.flush()
    assert sweep.after_flush(services) == 30
    assert sweep.after_flush(services) == 0
    assert signal_row(services, "held")["claim_id"] is not None
    assert feed.offer(services, ["enrich.standard"]) == 30
    causes = rows(services, "SELECT DISTINCT detail ->> 'cause' AS cause FROM trail WHERE what = 'swept'")
    assert causes == [{"cause": "broker_flushed"}]


def test_a_flush_of_more_than_one_batch_leaves_nothing_behind(services: Services, broker: BrokerControl) -> None:
    count = sweep.BATCH + 20
    put(services, *(call(f"c{number}", f"d{number}", urgency="low") for number in range(count)))
    rows(services, "UPDATE signals SET sent_at = now()")
    broker.flush()
    assert sweep.after_flush(services) == count


def test_two_sweeps_at_once_catch_each_row_once(services: Services, clock: MovableClock) -> None:
    put(services, *(call(f"c{number}", f"d{number}") for number in range(60)))
    take_messages(services, "enrich")
    claim_all(services, SIGNALS, "enrich")
    clock.move(seconds=31)
    caught = at_once(4, lambda _: total(sweep.sweep(services), "lease_expired"))
    assert sum(caught) == one(services, "SELECT count(*) AS n FROM trail WHERE what = 'swept'")["n"] == 60


def test_a_lost_claim_that_comes_back_after_the_sweep_has_nothing(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    with transaction(services.engine) as tx:
        held = work.claim(tx, SIGNALS, "enrich", chunk, clock.now())
    clock.move(seconds=31)
    sweep.sweep(services)
    with transaction(services.engine) as tx:
        assert work.still_held(tx, held) == []


def test_a_message_of_strangers_at_the_head_of_the_queue_is_no_proof_of_loss(
    services: Services, clock: MovableClock, broker: BrokerControl
) -> None:
    """A head whose time can't be read counts as very old: then nothing is taken for lost."""
    put(services, call("a"))
    broker.empty("enrich.standard")
    broker.put("enrich.standard")
    clock.move(minutes=5)
    assert total(sweep.sweep(services), "message_lost") == 0


def test_finished_signals_are_nobodys_loss(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    before: list[dict[str, Any]] = rows(services, "SELECT * FROM signals")
    clock.move(seconds=timedelta(days=1).total_seconds())
    assert not any(sweep.sweep(services).values())
    assert sweep.after_flush(services) == 0
    assert rows(services, "SELECT * FROM signals") == before
