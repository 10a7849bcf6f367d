"""A person's word by the API: on what they have seen, once, and told what happened meanwhile."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from revpipe import idempotency
from revpipe.db import transaction
from revpipe.services import Services
from tests.integration.api_fixtures import ROBIN, SAM, Called, Caller, admin, called
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    at_once,
    call,
    one,
    put,
    rows,
    run_to,
    signal_id,
    trail_of,
)

__all__ = ["admin", "called"]


def ask(called: Called, name: str = "a") -> dict[str, str]:
    """A signal with two actions that wait for a person: their ids by type."""
    put(called.services, call(name, f"d-{name}", event="deal.stage_changed", payload={"property": "dealstage"}))
    run_to(called.services, "execute")
    found = rows(called.services, "SELECT type, action_id FROM actions WHERE deal_id = :deal", deal=f"d-{name}")
    return {row["type"]: str(row["action_id"]) for row in found}


def until(check: Callable[[], Any]) -> None:
    """Wait for something that another thread does."""
    end = time.monotonic() + 30
    while not check():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def state_of(called: Called, action_id: str) -> str:
    row = one(called.services, "SELECT state FROM approvals WHERE action_id = :id", id=action_id)
    return str(row["state"])


def test_a_yes_to_what_was_seen(called: Called, admin: Caller) -> None:
    action = ask(called)["update_crm"]
    seen = admin.get(f"/approvals/{action}")
    assert (seen.json()["state"], seen.json()["version"]) == ("open", 1)
    done = admin.post(f"/approvals/{action}/approve", if_match=seen.headers["ETag"])
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["decided"]["way"]) == ("approved", "api")
    assert done.headers["ETag"] != seen.headers["ETag"]
    assert "approved" in trail_of(called.services, "a")


def test_a_no_with_its_reason(called: Called, admin: Caller) -> None:
    action = ask(called)["draft_followup"]
    done = admin.post(f"/approvals/{action}/reject", {"reason": "not the right tone"})
    assert (done.json()["state"], done.json()["decided"]["reason"]) == ("rejected", "not the right tone")
    assert done.json()["outcome"] == "rejected: rejected_by_person"


def test_an_edit_makes_a_version_and_who_saw_the_one_before_approves_nothing(called: Called, admin: Caller) -> None:
    action = ask(called)["draft_followup"]
    seen = admin.get(f"/approvals/{action}").headers["ETag"]
    edited = admin.patch(f"/approvals/{action}", {"changes": {"body": "c", "to": "kim@hooli.example"}}, if_match=seen)
    assert edited.status_code == 200, edited.text
    assert (edited.json()["version"], edited.json()["params"]["body"]) == (2, "c")
    assert [one["params"]["body"] for one in edited.json()["versions"]] == ["b", "c"]
    late = admin.post(f"/approvals/{action}/approve", if_match=seen)
    assert late.status_code == 412
    assert state_of(called, action) == "open"
    stale = admin.patch(f"/approvals/{action}", {"changes": {"body": "d"}}, if_match='"1"')
    assert stale.status_code == 412
    assert admin.post(f"/approvals/{action}/approve", if_match='"2"').status_code == 200


def test_a_yes_needs_the_version_that_was_seen(called: Called, admin: Caller) -> None:
    action = ask(called)["update_crm"]
    without = admin.post(f"/approvals/{action}/approve")
    assert without.status_code == 428
    assert "If-Match" in without.json()["detail"]
    assert admin.post(f"/approvals/{action}/approve", if_match="1").status_code == 422
    assert state_of(called, action) == "open"
    assert admin.post(f"/approvals/{action}/approve", if_match="*").status_code == 200


def test_whoever_comes_second_is_told_who_won(called: Called, admin: Caller) -> None:
    action = ask(called)["update_crm"]
    assert admin.post(f"/approvals/{action}/reject", {"reason": "no"}).status_code == 200
    other = called.as_("operator")
    late = other.post(f"/approvals/{action}/approve", if_match='"1"')
    assert late.status_code == 409
    assert "admin-" in late.json()["detail"]
    assert "rejected" in late.json()["detail"]


def test_two_at_once_have_one_outcome(called: Called, admin: Caller) -> None:
    action = ask(called)["update_crm"]

    def decide(number: int) -> int:
        if number % 2:
            return admin.post(f"/approvals/{action}/approve", if_match='"1"').status_code
        return admin.post(f"/approvals/{action}/reject", {"reason": "no"}).status_code

    assert sorted(at_once(6, decide)) == [200, *[409] * 5]


def test_a_rep_decides_on_own_deals_only(called: Called, provider: FakeProvider) -> None:
    provider.deal = {**provider.deal, "owner_id": SAM}
    action = ask(called)["update_crm"]
    rep = called.as_("rep", ROBIN)
    for answer in (
        rep.post(f"/approvals/{action}/approve", if_match='"1"'),
        rep.post(f"/approvals/{action}/reject", {"reason": "no"}),
        rep.patch(f"/approvals/{action}", {"changes": {"id": "d-other"}}, if_match='"1"'),
    ):
        assert answer.status_code == 403
        assert "deal of somebody else" in answer.json()["detail"]
    assert state_of(called, action) == "open"


def test_an_edit_that_can_not_be_is_refused_by_field(called: Called, admin: Caller) -> None:
    action = ask(called)["draft_followup"]
    for changes, said in (
        ({"nobody": "knows"}, "nobody"),
        ({"subject": "a\r\nBcc: all@example.com"}, "subject"),
        ({"to": "no address"}, "to"),
        ({}, "changes"),
    ):
        answer = admin.patch(f"/approvals/{action}", {"changes": changes}, if_match='"1"')
        assert answer.status_code == 422, changes
        assert said in answer.json()["detail"], changes
    raw = '{"changes": {"body": "half a pair \\ud800"}}'
    headers = {"Content-Type": "application/json", "If-Match": '"1"'}
    assert admin.ask("PATCH", f"/approvals/{action}", data=raw, headers=headers).status_code == 422
    assert admin.get(f"/approvals/{action}").json()["version"] == 1


def test_an_action_that_nobody_has_asked_for_is_told(called: Called, admin: Caller) -> None:
    for answer in (
        admin.get(f"/approvals/{uuid.uuid4()}"),
        admin.post(f"/approvals/{uuid.uuid4()}/approve", if_match='"1"'),
        admin.post(f"/approvals/{uuid.uuid4()}/reject", {"reason": "no"}),
    ):
        assert answer.status_code == 404
        assert "GET /api/v1/approvals" in answer.json()["detail"]


def test_a_request_that_is_sent_again_is_answered_as_it_was(called: Called, admin: Caller) -> None:
    action = ask(called)["update_crm"]
    sent = {"if_match": '"1"', "idempotency_key": "k-1"}
    first = admin.post(f"/approvals/{action}/approve", **sent)
    again = admin.post(f"/approvals/{action}/approve", **sent)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert admin.post(f"/approvals/{action}/approve", if_match='"1"').status_code == 409


def test_refusals_are_kept_as_well_for_they_tell_what_was_done(called: Called, admin: Caller) -> None:
    ids = ask(called)
    action = ids["update_crm"]
    admin.post(f"/approvals/{action}/reject", {"reason": "no"})
    first = admin.post(f"/approvals/{action}/approve", if_match='"1"', idempotency_key="k-1")
    again = admin.post(f"/approvals/{action}/approve", if_match='"1"', idempotency_key="k-1")
    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == first.json()
    assert again.headers["Content-Type"] == "application/problem+json"


def test_a_key_stands_for_one_request_of_one_sender(called: Called, admin: Caller) -> None:
    ids = ask(called)
    key = {"idempotency_key": "the-same"}
    assert admin.post(f"/approvals/{ids['update_crm']}/reject", {"reason": "no"}, **key).status_code == 200
    for answer in (
        admin.post(f"/approvals/{ids['update_crm']}/reject", {"reason": "another"}, **key),
        admin.post(f"/approvals/{ids['draft_followup']}/reject", {"reason": "no"}, **key),
    ):
        assert answer.status_code == 422
        assert "use a new one" in answer.json()["detail"]
    assert state_of(called, ids["draft_followup"]) == "open"
    # Others may choose the same word.
    other = called.as_("operator")
    assert other.post(f"/approvals/{ids['draft_followup']}/reject", {"reason": "no"}, **key).status_code == 200


def test_the_same_request_at_once_is_carried_out_once(called: Called, admin: Caller) -> None:
    action = ask(called)["update_crm"]
    send = lambda: admin.post(f"/approvals/{action}/approve", if_match='"1"', idempotency_key="k-1")  # noqa: E731
    with ThreadPoolExecutor(1) as pool:
        with transaction(called.services.engine) as tx:
            # Whoever decides waits for the row that is held here.
            tx.exec_driver_sql(f"SELECT 1 FROM approvals WHERE action_id = '{action}' FOR UPDATE")
            first = pool.submit(send)
            until(lambda: rows(called.services, "SELECT 1 FROM idempotency_keys"))
            second = send()
            assert second.status_code == 409
            assert second.headers["Retry-After"] == "1"
            assert "under way" in second.json()["detail"]
        assert first.result(timeout=30).status_code == 200
    third = send()
    assert (third.status_code, third.headers["Idempotency-Replayed"]) == (200, "true")


def test_a_key_of_a_request_that_died_is_free_after_a_minute_and_of_any_after_a_day(
    called: Called, admin: Caller, clock: MovableClock
) -> None:
    action = ask(called)["update_crm"]
    send = lambda: admin.post(f"/approvals/{action}/reject", {"reason": "no"}, idempotency_key="k-1")  # noqa: E731
    send()
    # As a process leaves it that was killed before it had its answer.
    rows(called.services, "UPDATE idempotency_keys SET status = NULL, body = NULL, headers = NULL")
    assert send().status_code == 409
    clock.move(seconds=idempotency.BUSY.total_seconds() + 1)
    taken_over = send()
    assert taken_over.status_code == 409
    assert "under way" not in taken_over.json()["detail"]
    clock.move(hours=23)
    with transaction(called.services.engine) as tx:
        assert idempotency.forget(tx, clock.now()) == 0
        assert idempotency.forget(tx, clock.move(hours=1)) == 1


def test_what_fails_of_itself_is_not_kept(called: Called, admin: Caller) -> None:
    ids = ask(called)
    rows(called.services, "ALTER TABLE approvals RENAME TO approvals_away")
    try:
        broken = admin.post(f"/approvals/{ids['update_crm']}/reject", {"reason": "no"}, idempotency_key="k-1")
        assert broken.status_code == 500
        assert broken.headers["Content-Type"] == "application/problem+json"
    finally:
        rows(called.services, "ALTER TABLE approvals_away RENAME TO approvals")
    assert rows(called.services, "SELECT 1 FROM idempotency_keys") == []
    again = admin.post(f"/approvals/{ids['update_crm']}/reject", {"reason": "no"}, idempotency_key="k-1")
    assert again.status_code == 200


@pytest.mark.parametrize("key", ["", "two words", "k" * 201, "ä"])
def test_a_key_that_is_none_is_refused(called: Called, admin: Caller, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1").decode("latin-1")}
    path = f"/approvals/{uuid.uuid4()}/reject"
    answer = admin.ask("POST", path, json={"reason": "no"}, headers=headers)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]


def test_a_dead_letter_is_replayed_from_where_it_failed(called: Called, admin: Caller) -> None:
    put(called.services, call("a", "d1"))
    run_to(called.services, "execute")
    rows(
        called.services,
        "INSERT INTO dead_letters (letter_id, letter_key, stage, reason, error, signal_id, action_id, attempts,"
        " first_at, last_at, detail) SELECT gen_random_uuid(), 'k', 'act', 'permanent', 'no', signal_id, action_id,"
        " 3, now(), now(), '{}' FROM actions WHERE type = 'create_task'",
    )
    rows(called.services, "UPDATE actions SET state = 'failed', queue = NULL WHERE type = 'create_task'")
    letter = admin.all("/dead-letters")[0]["letter_id"]
    told = admin.get(f"/dead-letters/{letter}/forecast").json()
    assert [one["verdict"] for one in told["actions"]] == ["will run"]
    done = admin.post(f"/dead-letters/{letter}/replay")
    assert (done.status_code, done.json()["outcome"]) == (200, "replayed")
    row = one(called.services, "SELECT state FROM actions WHERE type = 'create_task'")
    assert row["state"] == "ready"
    again = admin.post(f"/dead-letters/{letter}/replay").json()
    assert again["outcome"] == "over"
    acts = admin.all("/audit")
    assert [act["audit_id"] for act in acts][:2] == [again["audit_id"], done.json()["audit_id"]]
    assert acts[0]["actor"].startswith("admin-")


def test_a_letter_that_can_still_not_be_read_says_why(called: Called, admin: Caller) -> None:
    put(called.services, {"bad": "no_event"})
    letter = admin.all("/dead-letters")[0]["letter_id"]
    answer = admin.post(f"/dead-letters/{letter}/replay")
    assert answer.status_code == 409
    assert "no_event" in answer.json()["detail"]
    assert admin.get(f"/dead-letters/{letter}").json()["state"] == "open"


def test_a_dead_letter_is_discarded_once_and_keeps_why(called: Called, admin: Caller) -> None:
    put(called.services, {"bad": "no_event"})
    letter = admin.all("/dead-letters")[0]["letter_id"]
    assert admin.post(f"/dead-letters/{letter}/discard", {"why": ""}).status_code == 422
    assert admin.post(f"/dead-letters/{letter}/discard", {"why": "a\0b"}).status_code == 422
    assert admin.post(f"/dead-letters/{letter}/discard", {"why": "a test of theirs"}).status_code == 200
    told = admin.get(f"/dead-letters/{letter}").json()
    assert (told["state"], told["closed_why"]) == ("discarded", "a test of theirs")
    assert admin.post(f"/dead-letters/{letter}/discard", {"why": "again"}).status_code == 409
    assert admin.post(f"/dead-letters/{uuid.uuid4()}/discard", {"why": "none"}).status_code == 404
    assert admin.post(f"/dead-letters/{uuid.uuid4()}/replay").status_code == 404


def test_what_is_answered_unchanged_is_not_sent_again(called: Called, admin: Caller, services: Services) -> None:
    put(called.services, call("a", "d1"))
    for path in ("/signals", f"/signals/{signal_id('a')}", "/rules", "/actions"):
        first = admin.get(path)
        again = admin.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b""), path
        assert again.headers["ETag"] == first.headers["ETag"]
    seen = admin.get("/signals").headers["ETag"]
    put(called.services, call("b", "d2"))
    assert admin.get("/signals", headers={"If-None-Match": seen}).status_code == 200


def test_approvals_have_another_etag_after_any_change(called: Called, admin: Caller) -> None:
    action = ask(called)["draft_followup"]
    seen = admin.get(f"/approvals/{action}").headers["ETag"]
    assert admin.get(f"/approvals/{action}", headers={"If-None-Match": seen}).status_code == 304
    admin.post(f"/approvals/{action}/reject", {"reason": "no"})
    assert admin.get(f"/approvals/{action}", headers={"If-None-Match": seen}).status_code == 200
