"""What stands in the way of an action in a simulation: what was done, is open or was refused, as it would live."""

from revpipe import approvals
from revpipe.rules import book as rules
from revpipe.rules.book import RuleBook
from revpipe.services import Services
from tests.integration.conftest import MakeServices
from tests.integration.ledger_fixtures import FakeProvider, MovableClock, person, rows
from tests.integration.ledger_rules import TYPES
from tests.integration.test_simulate import BIG, happened, period, tried

TWINS = """
rules:
  - id: short
    description: The first to say so.
    owner: tests
    on: [deal.stage_changed]
    when: true
    cooldown: 1h
    then:
      - type: create_task
        params: {subject: Call}
  - id: long
    description: The same, and more patient.
    owner: tests
    on: [deal.stage_changed, deal.amount_changed]
    when: true
    cooldown: 3d
    then:
      - type: create_task
        params: {subject: Call}
"""


def test_history_from_before_the_period_counts(
    services: Services, clock: MovableClock, provider: FakeProvider, book: RuleBook
) -> None:
    rival = {"event": "call.completed", "payload": {"competitors": ["Initech"], "call_id": "1"}}
    happened(services, provider, {"id": "before", "deal": "d1", **rival})
    clock.move(days=3)
    happened(services, provider, {"id": "within", "deal": "d1", **rival}, {"id": "other", "deal": "d2", **rival})
    found = tried(services, book, period(services, days=1)).sums
    assert found.signals == 2
    assert found.counts["action", "rival", "create_task"] == 1
    assert found.counts["suppressed", "rival", "create_task", "cooldown"] == 1


def test_a_cooldown_of_months_counts_as_far_back_as_it_does_live(
    make_services: MakeServices, clock: MovableClock, provider: FakeProvider
) -> None:
    book = rules.load(BIG.format(amount=0).replace("cooldown: 3d", "cooldown: 90d"), TYPES)
    services = make_services(rules=book)
    for at in range(3):
        happened(services, provider, {"id": f"s{at}", "deal": "d1", "event": "deal.stage_changed"})
        clock.move(days=46)
    live = rows(services, "SELECT coalesce(reason, state) AS came FROM actions ORDER BY created_at")
    assert [one["came"] for one in live] == ["done", "cooldown", "done"]
    assert _cooled(services, book, days=365) == (2, 1)
    # What it did before the period counts as well.
    assert _cooled(services, book, days=93) == (1, 1)


def _cooled(services: Services, book: RuleBook, days: float) -> tuple[int, int]:
    found = tried(services, book, period(services, days=days)).sums
    return found.total("action"), found.reasons().get("cooldown", 0)


def test_what_another_rule_did_for_both_starts_the_cooldown_of_both(
    make_services: MakeServices, clock: MovableClock, provider: FakeProvider
) -> None:
    book = rules.load(TWINS, TYPES)
    services = make_services(rules=book)
    happened(services, provider, {"id": "s1", "deal": "d1", "event": "deal.stage_changed"})
    clock.move(days=1)
    happened(services, provider, {"id": "s2", "deal": "d1", "event": "deal.amount_changed"})
    live = rows(
        services, "SELECT rule_id, coalesce(reason, state) AS came FROM actions ORDER BY created_at, rule_id DESC"
    )
    assert [(one["rule_id"], one["came"]) for one in live] == [
        ("short", "done"),
        ("long", "same_as_other_rule"),
        ("long", "cooldown"),
    ]
    clock.move(hours=1)
    found = tried(services, book, period(services)).sums
    assert (found.total("action"), found.reasons()) == (1, {"cooldown": 1, "same_as_other_rule": 1})
    later = tried(services, book, period(services, hours=2)).sums
    assert (later.total("action"), later.reasons()) == (0, {"cooldown": 1})


def test_an_unanswered_approval_stays_in_the_way_until_it_would_have_expired(
    make_services: MakeServices, clock: MovableClock, provider: FakeProvider, book: RuleBook
) -> None:
    # Under rules that want nothing, none of these actions ever was.
    quiet = rules.load("rules: []", TYPES)
    services = make_services(rules=quiet)
    for at in range(4):
        happened(services, provider, {"id": f"s{at}", "deal": "d1", "event": "deal.stage_changed"})
        clock.move(hours=10)
    assert tried(services, quiet, period(services)).sums.left_open == 4
    found = tried(services, book, period(services)).sums
    # update_crm waits 24 h for a person, draft_followup 4 h; the cooldown of both is a day.
    assert [found.counts["action", "ask-first", one] for one in ("update_crm", "draft_followup")] == [2, 2]
    assert found.counts["approval", "ask-first", "update_crm"] == 2
    assert found.counts["suppressed", "ask-first", "update_crm", "already_open"] == 2
    assert found.counts["suppressed", "ask-first", "draft_followup", "cooldown"] == 2


def test_a_rejected_action_does_not_start_a_cooldown(
    services: Services, clock: MovableClock, provider: FakeProvider, book: RuleBook
) -> None:
    happened(services, provider, {"id": "s1", "deal": "d1", "event": "deal.stage_changed"})
    for row in rows(services, "SELECT action_id FROM actions"):
        approvals.reject(services, row["action_id"], person("kim@example.com"))
    clock.move(hours=1)
    happened(services, provider, {"id": "s2", "deal": "d1", "event": "deal.stage_changed"})
    assert rows(services, "SELECT count(*) AS n FROM actions WHERE suppressed_by IS NULL")[0]["n"] == 4
    assert tried(services, book, period(services)).sums.total("action") == 4


def test_signals_of_a_deal_are_counted_as_they_were(
    services: Services, clock: MovableClock, provider: FakeProvider
) -> None:
    third = "history.signals_7d >= 3"
    busy = rules.load(BIG.format(amount=0).replace("deal.amount >= 0", third), TYPES)
    for at in range(4):
        happened(services, provider, {"id": f"s{at}", "deal": "d1", "event": "deal.stage_changed"})
        clock.move(days=1)
    clock.move(days=6)
    happened(services, provider, {"id": "late", "deal": "d1", "event": "deal.stage_changed"})
    found = tried(services, busy, period(services)).sums
    assert found.counts["action", "big-deal-moves", "create_task"] == 1
    assert found.counts["suppressed", "big-deal-moves", "create_task", "cooldown"] == 1
    assert found.left_open == 3
