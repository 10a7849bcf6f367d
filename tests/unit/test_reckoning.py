"""What a rehearsal counts as lost, doubled and in flight."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from revpipe.drill.reckoning import Evidence, Reckoning, name_of, reckon

AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
SIGNAL, ACTION = uuid.UUID(int=1), uuid.UUID(int=2)


def signal(**more: Any) -> dict[str, Any]:
    row = {"signal_id": SIGNAL, "source": "hubspot", "deal_id": "7", "state": "done", "disposition": "acted"}
    row |= {"reason": None, "stage": None, "fired_at": AT, "call_id": None, "object_id": "7", "event_id": "99"}
    return row | more


def action(**more: Any) -> dict[str, Any]:
    row = {"action_id": ACTION, "signal_id": SIGNAL, "rule_id": "r", "type": "create_task", "adapter": "hubspot"}
    return row | {"state": "done", "reason": None, "params": {}, "subject": "deal:7"} | more


def effect(key: uuid.UUID | None = ACTION, **more: Any) -> dict[str, Any]:
    return {"vendor": "hubspot", "kind": "tasks.create", "id": "1", "marker": key and key.hex, "body": {}} | more


NAME = name_of(signal())
GOOD = Evidence(frozenset({NAME}), frozenset({NAME}), [signal()], [action()], [effect()])


def test_what_adds_up_is_exact() -> None:
    count = reckon(GOOD)
    assert count.exact
    assert (count.sent, count.accepted, count.effects) == (1, 1, 1)
    assert count.dispositions["acted"] == 1
    assert sum(count.dispositions.values()) == 1


def test_names_are_those_of_the_sender() -> None:
    assert NAME == "hubspot:99:7:1772366400123"
    assert name_of(signal(source="gong", call_id="5")) == "gong:5:7"


LOST = {
    "accepted and not there": replace(GOOD, signals=[], actions=[], effects=[]),
    "never moves": replace(
        GOOD, still=True, signals=[signal(state="received", disposition=None, stage="enrich")], actions=[], effects=[]
    ),
    "done without effect": replace(GOOD, effects=[]),
    "an effect of what failed": replace(GOOD, actions=[action(state="failed")]),
    "an effect that nobody planned": replace(GOOD, effects=[effect(), effect(uuid.UUID(int=9))]),
    "an effect without a key": replace(GOOD, effects=[effect(), effect(None)]),
    "an action left behind": replace(GOOD, actions=[action(state="ready")], effects=[]),
}


@pytest.mark.parametrize("found", LOST.values(), ids=LOST)
def test_lost(found: Evidence) -> None:
    count = reckon(found)
    assert len(count.lost) == 1
    assert not count.doubled
    assert not count.exact


DOUBLED = {
    "two effects": replace(GOOD, effects=[effect(), effect(id="2")]),
    "two signals": replace(GOOD, signals=[signal(), signal(signal_id=uuid.UUID(int=3))]),
    "two actions": replace(
        GOOD, actions=[action(), action(action_id=uuid.UUID(int=4))], effects=[effect(), effect(uuid.UUID(int=4))]
    ),
    "a signal of nothing": replace(GOOD, signals=[signal(), signal(signal_id=uuid.UUID(int=3), event_id="1")]),
}


@pytest.mark.parametrize("found", DOUBLED.values(), ids=DOUBLED)
def test_doubled(found: Evidence) -> None:
    count = reckon(found)
    assert len(count.doubled) == 1
    assert not count.lost
    assert not count.exact


def test_what_still_moves_is_in_flight_and_not_lost() -> None:
    moving = [signal(state="received", disposition=None, stage="enrich")]
    assert summary(reckon(replace(GOOD, signals=moving, actions=[], effects=[]))) == (1, 0, 0, 0)


def test_what_asks_a_person_is_unknown_and_exact() -> None:
    waiting = replace(GOOD, signals=[signal(state="waiting", disposition=None)], still=True)
    count = reckon(replace(waiting, actions=[action(state="unknown")]))
    assert summary(count) == (0, 1, 0, 0)
    assert count.exact
    still_busy = replace(waiting, actions=[action(state="unknown"), action(state="ready", type="send_alert")])
    assert summary(reckon(still_busy)) == (1, 0, 1, 0)


def test_a_second_action_that_was_suppressed_is_none() -> None:
    other = action(action_id=uuid.UUID(int=4), state="suppressed")
    assert reckon(replace(GOOD, actions=[action(), other])).exact


def test_an_update_is_found_by_its_values() -> None:
    params = {"object": "deal", "id": "7", "properties": {"amount": "5"}}
    update = action(type="update_crm", params=params)
    done = effect(None, kind="deals.update", id="7", body={"properties": {"amount": "5"}})
    assert reckon(replace(GOOD, actions=[update], effects=[done])).exact
    assert len(reckon(replace(GOOD, actions=[update], effects=[effect(None, kind="deals.update", id="8")])).lost) == 1


def summary(count: Reckoning) -> tuple[int, int, int, int]:
    return count.in_flight, count.unknown, len(count.lost), len(count.doubled)


REQUEST = uuid.uuid4()


def posted(place: str = "C1:1.1") -> dict[str, Any]:
    metadata = {"event_type": "revpipe_request", "event_payload": {"key": str(REQUEST)}}
    return effect(None, vendor="slack", kind="message", id=place, body={"metadata": metadata})


@pytest.mark.parametrize(
    ("requests", "messages", "lost", "doubled"),
    [
        ([{"request_id": REQUEST}], [posted()], [], []),
        ([], [posted()], ["the ledger knows nothing of slack message C1:1.1"], []),
        ([{"request_id": REQUEST}], [posted(), posted("C1:2.2")], [], [f"request {REQUEST} was posted 2 times"]),
    ],
)
def test_a_request_in_slack_is_one_of_the_ledgers_and_stands_there_once(
    requests: list[dict[str, Any]], messages: list[dict[str, Any]], lost: list[str], doubled: list[str]
) -> None:
    found = reckon(replace(GOOD, effects=[*GOOD.effects, *messages], requests=requests))
    assert (found.lost, found.doubled) == (lost, doubled)
