"""What the ledger's own calls say of a deal or an account."""

from datetime import timedelta
from typing import Any

from revpipe import call_history
from revpipe.db import transaction
from revpipe.ports import Part
from revpipe.services import Services
from revpipe.signals import Signal
from tests.integration.ledger_fixtures import MovableClock, put, signal_id
from tests.integration.test_cached_parts import signal_of

DAY = timedelta(days=1).total_seconds()


def heard(name: str, days_ago: float, *competitors: str, **more: Any) -> dict[str, Any]:
    payload = {
        "call_id": name,
        "title": f"Call {name}",
        "started_at": None,
        "duration_s": 60,
        "competitors": list(competitors),
        "competitor_said_by": "external",
        "url": None,
    }
    return {"id": name, "deal": "d1", "age_s": days_ago * DAY, "payload": payload, **more}


def calls_of(services: Services, *signals: Signal) -> list[dict[str, Any]]:
    with transaction(services.engine) as tx:
        found = call_history.parts(tx, signals, services.clock.now())
    parts = [found[signal.signal_id] for signal in signals]
    assert all(isinstance(part, Part) and part.provider == "ledger" and part.complete for part in parts)
    return [dict(part.value or {}) for part in parts]


def names(value: dict[str, Any]) -> list[str]:
    return [item["call_id"] for item in value["recent"]]


def about(services: Services, deal: str | None = None, account: str | None = None, name: str = "asks") -> Signal:
    from dataclasses import replace

    return replace(signal_of(services, deal), account_id=account, signal_id=signal_id(name))


def test_calls_of_the_deal_newest_first_with_each_rival_once(services: Services, clock: MovableClock) -> None:
    put(
        services,
        heard("old", 9, "Initech", "Umbrella"),
        heard("new", 1, "Umbrella", "Hooli"),
        heard("elsewhere", 1, "Acme", deal="d2"),
    )
    (value,) = calls_of(services, about(services, "d1"))
    assert names(value) == ["new", "old"]
    assert value["competitors"] == ["Umbrella", "Hooli", "Initech"]
    assert value["last_at"] == (clock.now() - timedelta(days=1)).isoformat()
    assert value["recent"][0] == {
        "call_id": "new",
        "title": "Call new",
        "started_at": None,
        "duration_s": 60,
        "competitors": ["Umbrella", "Hooli"],
        "said_by": "external",
        "url": None,
    }


def test_what_is_older_than_ninety_days_and_test_or_private_calls_are_left_out(services: Services) -> None:
    put(
        services,
        heard("kept", 89),
        heard("too old", 91),
        heard("test", 1, "Acme", suppressed="test_call"),
        heard("private", 1, "Acme", suppressed="private_call"),
        heard("other event", 1, "Acme", event="deal.stage_changed"),
    )
    (value,) = calls_of(services, about(services, "d1"))
    assert (names(value), value["competitors"]) == (["kept"], [])


def test_at_most_ten_calls(services: Services) -> None:
    put(services, *(heard(f"c{number}", number + 1, f"rival {number}") for number in range(14)))
    (value,) = calls_of(services, about(services, "d1"))
    assert names(value) == [f"c{number}" for number in range(10)]
    assert len(value["competitors"]) == 10


def test_a_signal_without_a_deal_is_told_of_its_accounts_calls(services: Services) -> None:
    put(
        services, heard("a", 1, deal="d1", account="7"), heard("b", 2, deal=None, account="7"), heard("c", 1, deal="d9")
    )
    (by_account, by_deal, by_neither) = calls_of(
        services,
        about(services, account="7", name="s1"),
        about(services, "d1", "7", name="s2"),
        about(services, name="s3"),
    )
    assert (names(by_account), names(by_deal), names(by_neither)) == (["a", "b"], ["a"], [])
    assert by_neither["last_at"] is None


def test_a_busy_deal_does_not_crowd_out_its_chunk_mates(services: Services) -> None:
    put(services, *(heard(f"busy{number}", 0.1 + number / 100) for number in range(40)))
    put(services, heard("quiet", 30, "Initech", deal="d2"))
    busy, quiet = calls_of(services, about(services, "d1", name="s1"), about(services, "d2", name="s2"))
    assert len(names(busy)) == 10
    assert (names(quiet), quiet["competitors"]) == (["quiet"], ["Initech"])


def test_an_accounts_other_deals_do_not_crowd_out_the_deal(services: Services) -> None:
    put(services, *(heard(f"other{number}", 0.1 + number / 100, deal="d2", account="7") for number in range(20)))
    put(services, heard("own", 30, "Initech", account="7"))
    (value,) = calls_of(services, about(services, "d1", "7"))
    assert (names(value), value["competitors"]) == (["own"], ["Initech"])


def test_private_calls_do_not_crowd_out_the_others(services: Services) -> None:
    put(services, *(heard(f"p{number}", 0.1 + number / 100, suppressed="private_call") for number in range(15)))
    put(services, heard("open", 30))
    (value,) = calls_of(services, about(services, "d1"))
    assert names(value) == ["open"]


def test_no_signals_no_calls(services: Services) -> None:
    assert calls_of(services) == []
