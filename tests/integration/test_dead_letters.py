"""Dead letters: one for each piece of work however often it dies, readable whatever the error quoted."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from revpipe import dead_letters
from revpipe.db import transaction
from revpipe.dead_letters import Filter, Letter, Mark
from revpipe.errors import Permanent
from revpipe.services import Services
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    at_once,
    call,
    one,
    put,
    rows,
    run_stage,
    signal_id,
    signal_row,
)


def bury(services: Services, *letters: Letter) -> None:
    with transaction(services.engine) as tx:
        dead_letters.bury(tx, letters, services.clock.now())


def letter(key: str = "k", **more: Any) -> Letter:
    return Letter(**{"key": key, "stage": "enrich", "reason": "r", "error": "e", **more})


def test_a_repeat_is_counted_not_added(services: Services, clock: MovableClock) -> None:
    first = clock.now()
    bury(services, letter(error="first", attempts=1))
    before = one(services, "SELECT letter_id FROM dead_letters")
    last = clock.move(hours=1)
    bury(services, letter(error="second", reason="other", attempts=3, worker="w"))
    found = one(services, "SELECT * FROM dead_letters")
    assert found["letter_id"] == before["letter_id"]
    assert (found["times"], found["error"], found["reason"], found["attempts"]) == (2, "second", "other", 3)
    assert (found["first_at"], found["last_at"], found["worker"]) == (first, last, "w")


@pytest.mark.parametrize("state", ["replayed", "discarded"])
def test_a_repeat_opens_the_letter_again(services: Services, state: str) -> None:
    bury(services, letter())
    rows(services, "UPDATE dead_letters SET state = :state", state=state)
    bury(services, letter())
    assert one(services, "SELECT state, times FROM dead_letters") == {"state": "open", "times": 2}


def test_threads_that_bury_the_same_letters_in_any_order_lose_none(services: Services) -> None:
    keys = [f"k{number}" for number in range(10)]

    def turn(at: int) -> None:
        bury(services, *(letter(key) for key in (keys if at % 2 else reversed(keys))))

    at_once(6, turn)
    found = rows(services, "SELECT times FROM dead_letters")
    assert [row["times"] for row in found] == [6] * 10


def test_what_the_ledger_could_not_hold_is_spelt_out(services: Services) -> None:
    bury(services, letter(error="a\0b \ud800 c", traceback="\0\udfff"))
    found = one(services, "SELECT error, traceback FROM dead_letters")
    assert found == {"error": r"a\0b \ud800 c", "traceback": r"\0\udfff"}


def test_the_body_is_kept_byte_for_byte(services: Services) -> None:
    body = bytes(range(256))
    bury(services, letter(message=body))
    assert one(services, "SELECT message FROM dead_letters") == {"message": body}


def test_a_huge_error_is_cut(services: Services) -> None:
    bury(services, letter(error="x" * 100_000))
    assert len(one(services, "SELECT error FROM dead_letters")["error"]) == 4000


def test_an_error_that_quotes_what_cannot_be_stored_still_buries_its_signal(
    services: Services, provider: FakeProvider
) -> None:
    put(services, call("a"), call("b", "d2"))
    provider.script[signal_id("a")] = Permanent("the vendor said \0 and \ud83d")
    run_stage(services, "enrich")
    assert signal_row(services, "a")["disposition"] == "dead_lettered"
    assert signal_row(services, "b")["state"] == "enriched"
    found = one(services, "SELECT * FROM dead_letters")
    assert found["error"] == r"Permanent: the vendor said \0 and \ud83d"
    assert (found["stage"], found["queue"], found["source"]) == ("enrich", "enrich.standard", "fake")
    assert found["correlation_id"] == signal_row(services, "a")["correlation_id"]


def test_listing_has_the_newest_in_front_and_no_bodies(services: Services, clock: MovableClock) -> None:
    for number in range(4):
        bury(services, letter(f"k{number}", error=f"error {number}", message=b"secret"))
        clock.move(seconds=1)
    rows(services, "UPDATE dead_letters SET state = 'discarded' WHERE letter_key = 'k3'")
    with transaction(services.engine) as tx:
        listed = dead_letters.listing(tx, limit=2)
        whole = dead_letters.show(tx, listed[0]["letter_id"])
        nothing = dead_letters.show(tx, uuid.uuid4())
    assert [row["error"] for row in listed] == ["error 2", "error 1"]
    assert all("message" not in row for row in listed)
    assert whole is not None
    assert whole["message"] == b"secret"
    assert nothing is None


def test_filters_say_which_letters_are_meant(services: Services, clock: MovableClock) -> None:
    ids = [uuid.uuid4() for _ in range(4)]
    stages = ("ingest", "enrich", "act", "act")
    for number, (stage, signal) in enumerate(zip(stages, ids, strict=True)):
        bury(services, letter(f"k{number}", stage=stage, source="fake" if number else None, signal_id=signal))
        clock.move(minutes=1)
    rows(services, "UPDATE dead_letters SET state = 'discarded' WHERE letter_key = 'k3'")
    last = clock.now()

    def meant(state: str | None = "open", **wanted: Any) -> list[int]:
        with transaction(services.engine) as tx:
            found = dead_letters.listing(tx, state, wanted=Filter(**wanted))
            if state == "open":
                assert dead_letters.chosen(tx, Filter(**wanted)) == [row["letter_id"] for row in reversed(found)]
        return [ids.index(row["signal_id"]) for row in found]

    assert meant() == [2, 1, 0]
    assert meant(None) == [3, 2, 1, 0]
    assert meant("discarded") == [3]
    assert meant(stage="act") == [2]
    assert meant(None, stage="act", reason="r") == [3, 2]
    assert meant(reason="other") == []
    assert meant(source="fake") == [2, 1]
    assert meant(signal_id=ids[1]) == [1]
    assert meant(since=last - timedelta(minutes=3)) == [2, 1]
    assert meant(until=last - timedelta(minutes=3)) == [0]


def test_pages_of_the_list_meet_without_a_gap_even_at_one_moment(services: Services) -> None:
    bury(services, *(letter(f"k{number}") for number in range(7)))
    seen: list[uuid.UUID] = []
    behind: Mark | None = None
    with transaction(services.engine) as tx:
        while page := dead_letters.listing(tx, limit=3, behind=behind):
            seen += [row["letter_id"] for row in page]
            behind = Mark(page[-1]["last_at"], page[-1]["letter_id"])
    assert len(seen) == len(set(seen)) == 7


def test_only_an_open_letter_can_be_closed(services: Services) -> None:
    bury(services, letter(), letter("other"))
    ids = [row["letter_id"] for row in rows(services, "SELECT letter_id FROM dead_letters ORDER BY letter_key")]
    now = services.clock.now()
    with transaction(services.engine) as tx:
        assert [one["letter_id"] for one in dead_letters.close(tx, ids[:1], "discarded", "kim", "a test", now)] == ids[
            :1
        ]
        assert len(dead_letters.close(tx, ids, "replayed", "robin", None, now)) == 1
    found = rows(services, "SELECT state, closed_by, closed_why, replays FROM dead_letters ORDER BY letter_key")
    assert found == [
        {"state": "discarded", "closed_by": "kim", "closed_why": "a test", "replays": 0},
        {"state": "replayed", "closed_by": "robin", "closed_why": None, "replays": 1},
    ]


def test_a_traceback_ends_with_the_error_itself(services: Services) -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1) if left % 2 else other(left - 1)
        else:
            raise ValueError("the very end")

    def other(left: int) -> None:
        deeper(left)

    with pytest.raises(ValueError) as caught:
        deeper(200)
    bury(services, letter(traceback=dead_letters.traceback_of(caught.value)))
    stored = one(services, "SELECT traceback FROM dead_letters")["traceback"]
    assert stored.rstrip().endswith("ValueError: the very end")


def test_the_same_fragment_of_the_same_source_is_the_same_letter() -> None:
    assert dead_letters.of_fragment("hubspot", b"x") == dead_letters.of_fragment("hubspot", b"x")
    keys = {dead_letters.of_fragment(*pair) for pair in (("hubspot", b"x"), ("hubspot", b"y"), ("gong", b"x"))}
    assert len(keys) == 3
