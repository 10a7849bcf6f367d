"""Enrichment and the beats that every stage has: claimed, done once, handed on, or waiting in plain sight."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from config.queues import QUEUES
from revpipe import enrich, feed, stage
from revpipe.errors import CredentialsRefused, NotFound, RateLimited, RevpipeError, Transient
from revpipe.ports import Part
from revpipe.services import Services
from revpipe.work import Chunk
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    call,
    one,
    put,
    rows,
    run_stage,
    run_to,
    sent,
    signal_id,
    signal_row,
    trail_of,
)


def chunk_of(services: Services, at: str = "enrich") -> Chunk:
    (chunk,) = sent(services, "signals", f"stage = '{at}'")
    return chunk


def try_again(services: Services, clock: MovableClock, name: str = "a") -> None:
    """Move to the time at which the signal falls due and run its stage."""
    row = signal_row(services, name)
    clock.move(seconds=max(0.0, (row["due_at"] - clock.now()).total_seconds()))
    assert feed.offer(services, [row["queue"]]) >= 1
    run_stage(services, row["stage"])


def test_a_signal_goes_through_the_stages_with_one_output_each(services: Services) -> None:
    put(services, call("a"))
    run_to(services, "execute")
    assert trail_of(services, "a")[:3] == ["received", "enriched", "decided"]
    assert signal_row(services, "a")["state"] == "waiting"
    assert one(services, "SELECT count(*) AS n FROM contexts") == {"n": 1}
    assert one(services, "SELECT count(*) AS n FROM plans") == {"n": 1}


def test_a_message_that_comes_again_goes_on_without_the_work_being_done_again(
    services: Services, provider: FakeProvider
) -> None:
    put(services, call("a"), call("b", "d2"))
    chunk = chunk_of(services)
    first = enrich.run(chunk, services)
    assert first is not None
    assert sorted(first.ids) == sorted(chunk.ids)
    again = enrich.run(chunk, services)
    assert again == first
    assert len(provider.calls) == 1
    assert one(services, "SELECT count(*) AS n FROM trail WHERE what = 'enriched'") == {"n": 2}


def test_a_message_that_comes_again_after_the_next_stage_is_left_alone(
    services: Services, provider: FakeProvider
) -> None:
    put(services, call("a"))
    chunk = chunk_of(services)
    run_to(services, "decide")
    assert enrich.run(chunk, services) is None
    assert len(provider.calls) == 1


def test_output_of_a_lost_claim_is_discarded_and_the_others_stands(
    make_services: Callable[..., Services], clock: MovableClock
) -> None:
    services: Services

    class Overtaken(FakeProvider):
        """While it answers, the lease runs out and another worker does the whole work."""

        def fetch(self, signals, wanted):  # type: ignore[no-untyped-def]
            answer = super().fetch(signals, wanted)
            if len(self.calls) == 1:
                clock.move(seconds=31)
                self.deal = {"name": "the other's"}
                assert enrich.run(chunk, services) is not None
            return answer

    services = make_services(providers=[Overtaken(clock, {"name": "the late one's"})])
    put(services, call("a"))
    chunk = chunk_of(services)
    late = enrich.run(chunk, services)
    stored = one(services, "SELECT parts FROM contexts")["parts"]
    assert stored["deal"]["value"]["name"] == "the other's"
    assert trail_of(services, "a").count("enriched") == 1
    # It is at decide, sent with this number: the late message may go on, and claims keep it from doing harm.
    assert late is None or late.ids == chunk.ids


def test_a_failure_seen_by_a_lost_claim_is_not_written(
    make_services: Callable[..., Services], clock: MovableClock
) -> None:
    services: Services

    class Overtaken(FakeProvider):
        """The late worker's vendor fails, the other's does not."""

        def fetch(self, signals, wanted):  # type: ignore[no-untyped-def]
            answer = super().fetch(signals, wanted)
            if len(self.calls) == 1:
                clock.move(seconds=31)
                enrich.run(chunk, services)
                raise NotFound("nobody here")
            return answer

    services = make_services(providers=[Overtaken(clock)])
    put(services, call("a"))
    chunk = chunk_of(services)
    enrich.run(chunk, services)
    assert signal_row(services, "a")["stage"] == "decide"
    assert rows(services, "SELECT * FROM dead_letters") == []


def test_required_context_that_fails_for_now_is_tried_again_later(
    services: Services, provider: FakeProvider, clock: MovableClock
) -> None:
    put(services, call("a"))
    provider.script[signal_id("a")] = Transient("the vendor is busy")
    run_stage(services, "enrich")
    row = signal_row(services, "a")
    assert (row["state"], row["stage"], row["sent_at"], row["attempts"]) == ("received", "enrich", None, 1)
    assert clock.now() < row["due_at"] <= clock.now() + timedelta(seconds=QUEUES["enrich.standard"].backoff)
    assert feed.offer(services, [row["queue"]]) == 0
    provider.script.clear()
    try_again(services, clock)
    assert signal_row(services, "a")["state"] == "enriched"
    assert trail_of(services, "a") == ["received", "retry", "enriched"]


@pytest.mark.parametrize(
    ("error", "what", "state"),
    [
        (CredentialsRefused("401"), "parked", "parked"),
        (RateLimited("slow down", retry_after=3.0), "retry", "received"),
    ],
)
def test_waiting_for_a_vendor_burns_no_attempt(
    services: Services, provider: FakeProvider, clock: MovableClock, error: RevpipeError, what: str, state: str
) -> None:
    put(services, call("a"))
    provider.script[signal_id("a")] = error
    run_stage(services, "enrich")
    for _ in range(QUEUES["enrich.standard"].attempts + 2):
        row = signal_row(services, "a")
        assert (row["state"], row["attempts"], row["disposition"]) == (state, 0, None)
        assert row["due_at"] > clock.now()
        try_again(services, clock)
    provider.script.clear()
    try_again(services, clock)
    assert signal_row(services, "a")["state"] == "enriched"
    assert set(trail_of(services, "a")) == {"received", what, "enriched"}


def test_a_long_outage_parks_the_signal_and_loses_nothing(
    services: Services, provider: FakeProvider, clock: MovableClock
) -> None:
    put(services, call("a"))
    provider.script[signal_id("a")] = Transient("down")
    run_stage(services, "enrich")
    began = clock.now()
    while clock.now() - began < timedelta(minutes=40):
        try_again(services, clock)
    row = signal_row(services, "a")
    assert (row["state"], row["disposition"]) == ("parked", None)
    assert row["due_at"] - clock.now() <= timedelta(seconds=QUEUES["enrich.standard"].backoff_cap * 1.1)
    provider.script.clear()
    try_again(services, clock)
    assert signal_row(services, "a")["state"] == "enriched"
    assert rows(services, "SELECT * FROM dead_letters") == []


def test_a_vendor_that_never_comes_back_makes_a_dead_letter_and_a_disposition(
    services: Services, provider: FakeProvider, clock: MovableClock
) -> None:
    put(services, call("a"))
    provider.script[signal_id("a")] = Transient("never well")
    run_stage(services, "enrich")
    for _ in range(QUEUES["enrich.standard"].attempts):
        try_again(services, clock)
    clock.move(hours=24)
    try_again(services, clock)
    row = signal_row(services, "a")
    assert (row["state"], row["disposition"], row["reason"], row["queue"]) == (
        "done",
        "dead_lettered",
        "expired_waiting",
        None,
    )
    letter = one(services, "SELECT * FROM dead_letters")
    assert (letter["stage"], letter["reason"], letter["signal_id"]) == ("enrich", "expired_waiting", signal_id("a"))
    assert "never well" in letter["error"]
    assert trail_of(services, "a")[-2:] == ["parked", "buried"]


def test_a_message_that_kills_its_worker_every_time_is_buried(services: Services, clock: MovableClock) -> None:
    put(services, call("a"))
    allowed = QUEUES["enrich.standard"].attempts
    rows(services, "UPDATE signals SET attempts = :n", n=allowed)
    run_stage(services, "enrich")
    row = signal_row(services, "a")
    assert (row["disposition"], row["reason"]) == ("dead_lettered", "exhausted")
    assert one(services, "SELECT attempts FROM dead_letters") == {"attempts": allowed + 1}


def test_a_signal_does_not_wait_for_its_context_for_ever(
    services: Services, provider: FakeProvider, clock: MovableClock
) -> None:
    put(services, call("a"))
    provider.down = CredentialsRefused("401")
    run_stage(services, "enrich")
    clock.move(hours=23, minutes=58)
    try_again(services, clock)
    assert signal_row(services, "a")["due_at"] == signal_row(services, "a")["expires_at"]
    try_again(services, clock)
    assert (signal_row(services, "a")["disposition"], signal_row(services, "a")["reason"]) == (
        "dead_lettered",
        "expired_waiting",
    )


def test_optional_context_that_fails_is_marked_and_holds_nothing_up(
    services: Services, clock: MovableClock, provider: FakeProvider, make_services: Callable[..., Services]
) -> None:
    class People(FakeProvider):
        name = "people"
        parts = ("contact",)

    class Deals(FakeProvider):
        parts = ("deal", "account")

    people = People(clock)
    people.down = Transient("down")
    services = make_services(providers=[Deals(clock), people])
    put(services, call("a"))
    run_stage(services, "enrich")
    assert signal_row(services, "a")["state"] == "enriched"
    context = one(services, "SELECT complete, parts FROM contexts")
    contact = context["parts"]["contact"]
    assert context["complete"] is False
    assert (contact["complete"], contact["missing"], contact["value"]) == (False, "transient", None)
    assert context["parts"]["deal"]["complete"] is True


def test_context_is_stored_once_and_used_again(services: Services, provider: FakeProvider) -> None:
    put(services, call("a"))
    run_stage(services, "enrich")
    before = one(services, "SELECT * FROM contexts")
    rows(
        services,
        "UPDATE signals SET stage = 'enrich', queue = 'enrich.standard', state = 'received', sent_at = now()",
    )
    provider.deal = {"name": "another world"}
    run_stage(services, "enrich")
    assert one(services, "SELECT * FROM contexts") == before
    assert len(provider.calls) == 1
    assert signal_row(services, "a")["stage"] == "decide"


def test_one_row_that_breaks_our_code_does_not_harm_its_mates(services: Services, provider: FakeProvider) -> None:
    put(services, *(call(name, f"d-{name}") for name in "abcde"))
    provider.script[signal_id("c")] = ZeroDivisionError("a bug of ours")
    run_stage(services, "enrich")
    assert [signal_row(services, name)["state"] for name in "abde"] == ["enriched"] * 4
    broken = signal_row(services, "c")
    assert (broken["stage"], broken["sent_at"], broken["attempts"]) == ("enrich", None, 1)
    assert trail_of(services, "c") == ["received", "retry"]
    detail = one(services, "SELECT detail FROM trail WHERE what = 'retry'")["detail"]
    assert detail["error"] == "ZeroDivisionError"
    assert all(trail_of(services, name).count("enriched") == 1 for name in "abde")


def test_a_silent_provider_is_a_passing_trouble_of_that_signal_only(services: Services, provider: FakeProvider) -> None:
    put(services, call("a", "d1"), call("b", "d2"))
    complete = provider._answer

    def forgetful(signals, wanted):  # type: ignore[no-untyped-def]
        return {one.signal_id: complete(one, wanted[one.signal_id]) for one in signals if one.deal_id != "d2"}

    provider.fetch = forgetful  # type: ignore[method-assign]
    run_stage(services, "enrich")
    assert trail_of(services, "a") == ["received", "enriched"]
    assert trail_of(services, "b") == ["received", "retry"]


def test_priority_that_context_raises_leaves_the_chain_for_the_right_queue(
    services: Services, provider: FakeProvider
) -> None:
    put(services, call("small", "d1"), call("big", "d2"))
    big = Part("deal", "crm", services.clock.now(), {"id": "d2", "is_closed": False, "amount": 90_000})
    provider.script[signal_id("big")] = {"deal": big}
    onward = enrich.run(chunk_of(services), services)
    assert onward is not None
    assert onward.ids == (signal_id("small"),)
    raised = signal_row(services, "big")
    assert (raised["priority"], raised["urgency"], raised["queue"]) == ("high", "standard", "decide.high")
    assert raised["sent_at"] is not None
    (small, large) = sorted(sent(services, "signals", "stage = 'decide'"), key=lambda chunk: chunk.send_no)
    assert (small.ids, large.ids) == ((signal_id("small"),), (signal_id("big"),))
    found = one(services, "SELECT detail FROM trail WHERE what = 'enriched' AND signal_id = :id", id=signal_id("big"))
    assert found["detail"]["urgency"] == ["standard", "high"]


def test_a_record_of_a_version_that_no_release_wrote_is_buried_alone(services: Services) -> None:
    put(services, call("a"), call("b", "d2"))
    rows(services, "UPDATE signals SET schema_version = 0 WHERE signal_id = :id", id=signal_id("a"))
    run_stage(services, "enrich")
    assert signal_row(services, "a")["disposition"] == "dead_lettered"
    assert signal_row(services, "b")["state"] == "enriched"


def test_a_chunk_of_strangers_does_nothing(services: Services, provider: FakeProvider) -> None:
    assert enrich.run(Chunk((uuid.uuid4(),), 1), services) is None
    assert provider.calls == []


def test_a_long_piece_of_work_keeps_its_lease(
    services: Services, provider: FakeProvider, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "RENEWALS", 1500)
    put(services, call("a"))
    claimed_until = clock.now() + timedelta(seconds=30)
    complete = provider.fetch

    def slow(signals, wanted):  # type: ignore[no-untyped-def]
        clock.move(seconds=20)
        until_renewed(services, claimed_until)
        return complete(signals, wanted)

    provider.fetch = slow  # type: ignore[method-assign]
    run_stage(services, "enrich")
    assert signal_row(services, "a")["state"] == "enriched"


def until_renewed(services: Services, end: object) -> None:
    import time

    deadline = time.monotonic() + 20
    while signal_row(services, "a")["lease_until"] <= end:
        assert time.monotonic() < deadline, "the lease was not renewed"
        time.sleep(0.02)


def test_a_database_that_fails_in_the_middle_speaks_against_no_row(
    services: Services, provider: FakeProvider, clock: MovableClock
) -> None:
    """Its worker lives on, so it gives the rows back instead of letting their lease run out."""
    put(services, call("a"), call("b", "d2"))
    complete = provider.fetch

    def broken(signals, wanted):  # type: ignore[no-untyped-def]
        raise OperationalError("SELECT 1", None, Exception("gone"))

    provider.fetch = broken  # type: ignore[method-assign]
    with pytest.raises(OperationalError):
        run_stage(services, "enrich")
    row = signal_row(services, "a")
    assert (row["claim_id"], row["queue"], row["deaths"], row["attempts"]) == (None, "enrich.standard", 0, 1)
    provider.fetch = complete  # type: ignore[method-assign]
    clock.move(seconds=5)
    assert feed.offer(services, ["enrich.standard"]) == 2
    run_stage(services, "enrich")
    assert signal_row(services, "a")["state"] == "enriched"


@pytest.mark.parametrize(("part", "state"), [("deal", "received"), ("contact", "enriched")])
def test_a_part_that_can_not_be_read_now_is_waited_for_only_where_it_is_required(
    services: Services, provider: FakeProvider, part: str, state: str
) -> None:
    put(services, call("a"))
    read = {name: Part(name, "crm", services.clock.now(), {"id": "7"}) for name in ("deal", "account", "contact")}
    down = Transient("503")
    read[part] = Part(part, "crm", services.clock.now(), None, complete=False, missing=down.code, error=down)
    provider.script[signal_id("a")] = read
    run_stage(services, "enrich")
    assert signal_row(services, "a")["state"] == state
    kept = rows(services, "SELECT parts -> 'contact' ->> 'complete' AS whole FROM contexts")
    assert kept == ([{"whole": "false"}] if state == "enriched" else [])
