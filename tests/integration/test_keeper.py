"""The keeper: one of several works, and whatever the broker forgets comes out all the same."""

from datetime import timedelta
from threading import Event

from config.queues import QUEUES
from revpipe import leases
from revpipe.db import transaction
from revpipe.keeper import DUTY, LEASE, QUEUES_DUE, Keeper
from revpipe.services import Services
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
    signal_row,
)
from tests.integration.test_approvals import ask


def hold(services: Services, holder: str) -> bool:
    with transaction(services.engine) as tx:
        return leases.hold(tx, DUTY, holder, LEASE, services.clock.now())


def release(services: Services, holder: str) -> None:
    with transaction(services.engine) as tx:
        leases.release(tx, DUTY, holder, services.clock.now())


def test_of_eight_that_want_the_duty_at_once_one_gets_it(services: Services, clock: MovableClock) -> None:
    assert sum(at_once(8, lambda at: hold(services, f"keeper {at}"))) == 1
    clock.move(seconds=16)
    assert sum(at_once(8, lambda at: hold(services, f"other {at}"))) == 1


def test_two_keepers_and_one_works(services: Services, clock: MovableClock) -> None:
    keeper = Keeper(services)
    assert hold(services, "elsewhere:1")
    put(services, call("a"))
    rows(services, "UPDATE signals SET sent_at = NULL")
    assert keeper.round() is False
    assert signal_row(services, "a")["sent_at"] is None
    clock.move(seconds=LEASE.total_seconds() + 1)
    assert keeper.round() is True
    assert signal_row(services, "a")["sent_at"] is not None
    assert hold(services, "elsewhere:1") is False


def test_a_duty_is_kept_by_its_holder_and_can_be_given_up(services: Services, clock: MovableClock) -> None:
    for _ in range(3):
        assert hold(services, "one")
        clock.move(seconds=14)
    release(services, "two")
    assert not hold(services, "two")
    release(services, "one")
    assert hold(services, "two")
    with transaction(services.engine) as tx:
        state = leases.state(tx, DUTY)
        assert leases.state(tx, "no such duty") is None
    assert state is not None
    assert (state["holder"], state["round_at"]) == ("two", clock.now())


def test_a_keeper_that_stops_gives_its_duty_up(services: Services) -> None:
    rounds = iter([False, True])
    Keeper(services).run(lambda: next(rounds))
    assert hold(services, "the next")


def test_a_round_feeds_what_is_due_in_any_queue(services: Services, broker: BrokerControl) -> None:
    put(services, *(call(urgency, f"d-{urgency}", urgency=urgency) for urgency in ("immediate", "high", "low")))
    rows(services, "UPDATE signals SET sent_at = NULL")
    broker.flush()
    Keeper(services).round()
    assert {queue: broker.count(queue) for queue in QUEUES if broker.count(queue)} == {
        "enrich.immediate": 1,
        "enrich.high": 1,
        "enrich.low": 1,
    }


def test_finding_the_queues_to_feed_costs_the_same_with_a_backlog(services: Services, clock: MovableClock) -> None:
    rows(
        services,
        "INSERT INTO signals (signal_id, schema_version, signal_type, event, source, payload, urgency, confidence,"
        " fired_at, received_at, delivery_id, correlation_id, priority, state, stage, queue, due_at, expires_at)"
        " SELECT gen_random_uuid(), 1, 'crm_event', 'deal.updated', 'fake', '{}', 'low', 1, at, at, gen_random_uuid(),"
        " gen_random_uuid(), 'low', 'received', 'enrich', 'enrich.low', at, at FROM"
        " (SELECT now() - n * interval '1 second' AS at FROM generate_series(1, 20000) AS n) AS times",
    )
    rows(services, "ANALYZE signals")
    plan = rows(services, f"EXPLAIN (ANALYZE) {QUEUES_DUE}", queues=list(QUEUES), now=clock.now())
    told = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "ix_signals_due" in told
    assert "Seq Scan on signals" not in told, told


def test_a_round_sweeps_and_expires(services: Services, clock: MovableClock, broker: BrokerControl) -> None:
    ask(services)
    put(services, call("lost"))
    broker.empty("enrich.standard")
    clock.move(days=30)
    assert Keeper(services).round()
    assert one(services, "SELECT count(*) AS n FROM trail WHERE what = 'swept'") == {"n": 1}
    assert broker.count("enrich.standard") == 1
    # Nobody had the request, so somebody else is asked first.
    assert signal_row(services, "a")["disposition"] is None
    clock.move(days=30)
    assert Keeper(services).round()
    assert signal_row(services, "a")["disposition"] == "expired"


def test_a_round_makes_next_months_partitions_and_forgets_old_parts(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    run_stage(services, "enrich")
    assert one(services, "SELECT count(*) AS n FROM cached_parts") == {"n": 1}
    later = clock.move(days=200)
    Keeper(services).round()
    child = (later + timedelta(days=60)).strftime("trail_%Y_%m")
    assert one(services, "SELECT to_regclass(:name) IS NOT NULL AS there", name=child) == {"there": True}
    assert rows(services, "SELECT * FROM cached_parts") == []


def test_whatever_the_broker_loses_comes_out_all_the_same(
    services: Services, clock: MovableClock, broker: BrokerControl
) -> None:
    """FLUSHALL between any two steps; only the keeper's rounds and the workers' stages go on."""
    keeper = Keeper(services)
    keeper.round()
    names = [f"c{number}" for number in range(12)]
    put(services, *(call(name, f"d-{name}") for name in names))
    broker.flush()
    for stage in ("enrich", "decide", "execute"):
        swept = one(services, "SELECT count(*) AS n FROM trail WHERE what = 'swept'")["n"]
        keeper.round()
        assert one(services, "SELECT count(*) AS n FROM trail WHERE what = 'swept'")["n"] == swept + 12
        run_stage(services, stage)
        broker.flush()
    for _ in range(20):
        keeper.round()
        run_act(services)
        broker.flush()
    assert {signal_row(services, name)["disposition"] for name in names} == {"acted"}


def test_the_first_round_of_a_ledger_sweeps_nothing(services: Services, broker: BrokerControl) -> None:
    put(services, call("a"))
    Keeper(services).round()
    assert rows(services, "SELECT * FROM trail WHERE what = 'swept'") == []
    assert broker.count("enrich.standard") == 1


def test_a_keeper_waits_for_a_database_that_is_down(services: Services) -> None:
    rounds = Event()

    def stop() -> bool:
        if rounds.is_set():
            return True
        rounds.set()
        rows(services, "ALTER TABLE leases RENAME TO gone")
        return False

    Keeper(services).run(stop)
    rows(services, "ALTER TABLE gone RENAME TO leases")
    assert Keeper(services).round()
