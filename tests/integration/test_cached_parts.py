"""Parts that were fetched lately serve other signals, unless the signal is younger than they are."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from revpipe import cached_parts
from revpipe.context_needs import ContextNeeds
from revpipe.db import transaction
from revpipe.ports import Part
from revpipe.services import Services
from revpipe.signals import Signal
from tests.integration.ledger_fixtures import (
    FakeProvider,
    FakeSource,
    MovableClock,
    at_once,
    call,
    one,
    put,
    request_of,
    rows,
    run_stage,
    signal_row,
)

Recall = Callable[..., dict[str, Part]]


def fetches(provider: FakeProvider) -> int:
    return sum("deal" in wanted for wanted in provider.wanted)


def enrich(services: Services, name: str, clock: MovableClock, wait: float, age: float, deal: str = "d1") -> None:
    """`wait` seconds later a signal comes in that fired `age` seconds before that, and is enriched."""
    clock.move(seconds=wait)
    put(services, call(name, deal, age_s=age))
    run_stage(services, "enrich")


@pytest.mark.parametrize(
    ("wait", "age", "asked"),
    [
        (10, 11, 1),  # fired before the part was fetched: the part knows of it
        (10, 10, 1),  # fired at that very moment
        (10, 9, 2),  # fired afterwards: the part may not know of it
        (59, 59, 1),
        (61, 90, 2),  # the part has expired
    ],
)
def test_a_part_is_used_again_if_it_was_fetched_after_the_signal_fired(
    services: Services, provider: FakeProvider, clock: MovableClock, wait: float, age: float, asked: int
) -> None:
    enrich(services, "a", clock, 0, 1)
    enrich(services, "b", clock, wait, age)
    assert fetches(provider) == asked
    assert signal_row(services, "b")["state"] == "enriched"


def test_a_part_that_was_used_again_says_when_it_was_fetched(
    services: Services, provider: FakeProvider, clock: MovableClock
) -> None:
    fetched = clock.now()
    enrich(services, "a", clock, 0, 1)
    enrich(services, "b", clock, 10, 60)
    stored = rows(services, "SELECT parts -> 'deal' AS deal FROM contexts")
    assert [row["deal"]["fetched_at"] for row in stored] == [fetched.isoformat()] * 2
    assert stored[0]["deal"] == stored[1]["deal"]


def test_another_deals_part_is_not_used(services: Services, provider: FakeProvider, clock: MovableClock) -> None:
    enrich(services, "a", clock, 0, 1)
    enrich(services, "b", clock, 1, 60, deal="d2")
    assert fetches(provider) == 2


def test_what_has_no_time_to_live_and_what_is_incomplete_or_empty_is_not_kept(
    services: Services, clock: MovableClock
) -> None:
    now = clock.now()
    signal = signal_of(services)
    parts = [
        Part("deal", "crm", now, {"id": "d1"}, complete=False),
        Part("account", "crm", now, None, missing="not_found"),
        Part("change", "crm", now, {"old_value": "1"}),
        Part("contact", "crm", now, {"id": "c"}),
    ]
    with transaction(services.engine) as tx:
        cached_parts.remember(tx, [(signal, part) for part in parts], services.needs)
    assert [row["part"] for row in rows(services, "SELECT part FROM cached_parts")] == ["contact"]


def test_a_signal_that_names_nothing_has_no_key(services: Services, clock: MovableClock) -> None:
    bare = signal_of(services, deal=None)
    assert cached_parts.key_of(bare) is None
    with transaction(services.engine) as tx:
        cached_parts.remember(tx, [(bare, Part("deal", "crm", clock.now(), {"id": "1"}))], services.needs)
        found: dict[object, dict[str, Part]] = {bare.signal_id: {}}
        cached_parts.recall(tx, [bare], services.needs, found, clock.now())  # type: ignore[arg-type]
    assert (rows(services, "SELECT * FROM cached_parts"), found) == ([], {bare.signal_id: {}})


def test_an_older_answer_does_not_replace_a_newer_one(services: Services, clock: MovableClock) -> None:
    signal, now = signal_of(services), clock.now()
    for age, name in ((0, "new"), (30, "old")):
        part = Part("deal", "crm", now - timedelta(seconds=age), {"name": name})
        with transaction(services.engine) as tx:
            cached_parts.remember(tx, [(signal, part)], services.needs)
    stored = one(services, "SELECT value, fetched_at FROM cached_parts")
    assert (stored["value"]["value"], stored["fetched_at"]) == ({"name": "new"}, now)


def test_workers_that_remember_the_same_parts_at_once_do_not_wait_in_a_ring(
    services: Services, clock: MovableClock
) -> None:
    pairs = [
        (signal_of(services, deal=f"d{number}"), Part("deal", "crm", clock.now(), {"id": str(number)}))
        for number in range(20)
    ]

    def keep(at: int) -> None:
        with transaction(services.engine) as tx:
            cached_parts.remember(tx, pairs if at % 2 else pairs[::-1], services.needs)

    at_once(6, keep)
    assert one(services, "SELECT count(*) AS n FROM cached_parts") == {"n": 20}


def test_what_has_expired_is_forgotten(services: Services, clock: MovableClock, provider: FakeProvider) -> None:
    enrich(services, "a", clock, 0, 1)
    clock.move(seconds=59)
    with transaction(services.engine) as tx:
        assert cached_parts.forget_expired(tx, clock.now()) == 0
    clock.move(seconds=1)
    with transaction(services.engine) as tx:
        assert cached_parts.forget_expired(tx, clock.now()) == 1


def test_a_part_that_the_signal_does_not_need_is_left_out(services: Services, clock: MovableClock) -> None:
    signal = signal_of(services)
    part = Part("deal", "crm", clock.now(), {"id": "d1"})
    with transaction(services.engine) as tx:
        cached_parts.remember(tx, [(signal, part)], services.needs)
        found: dict[object, dict[str, Part]] = {signal.signal_id: {}}
        narrow = ContextNeeds((needs_nothing(services),), {})
        cached_parts.recall(tx, [signal], narrow, found, clock.now())  # type: ignore[arg-type]
        assert found == {signal.signal_id: {}}
        cached_parts.recall(tx, [signal], services.needs, found, clock.now())  # type: ignore[arg-type]
    assert found[signal.signal_id]["deal"] == part


def needs_nothing(services: Services):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(services.needs.entries[-1], events=("*",), required=frozenset(), optional=frozenset())


def signal_of(services: Services, deal: str | None = "d1") -> Signal:
    import json

    from revpipe.ids import uuid7
    from revpipe.ports import Accepted, Delivery

    body = json.dumps([{"id": "s", "deal": deal}]).encode()
    (event,) = FakeSource().normalise(Delivery(uuid7(), uuid7(), "fake", request_of(services, body)))
    assert isinstance(event, Accepted)
    return event.signal
