"""Rules that are suggested: found in what was decided alike and approved, told with evidence, and fit for the file."""

import pytest

from config.settings import Settings
from revpipe import approvals, bootstrap
from revpipe.commands.rules_suggest import with_rule
from revpipe.db import transaction
from revpipe.ports import Part
from revpipe.rules.book import RuleBook
from revpipe.services import Services
from revpipe.simulating.judge import Trial
from revpipe.simulating.ledger import LedgerPast, looking
from revpipe.simulating.run import compare
from revpipe.suggesting import evidence
from revpipe.suggesting.suggestions import Suggestion, suggest
from tests.integration.conftest import MakeServices
from tests.integration.ledger_fixtures import FakeProvider, MovableClock, person, put, rows, run_to, signal_id
from tests.integration.test_simulate import period

STAND_IN = """
rules:
  - id: from-the-llm
    description: Decides in the LLM's place, so that the rows are the stage's own.
    owner: tests
    on: [deal.owner_changed]
    when: deal.amount >= 40000
    then:
      - type: create_task
        approval: always
        params:
          subject: "Introduce yourself: {{ deal.name }}"
          body: "Call {{ deal.owner_name }} about {{ deal.name }} {{ '{{' }} today."
          due_in_days: 1
          priority: HIGH
          task_type: CALL
          owner_id: "{{ deal.owner_id }}"
          deal_id: "{{ deal.id }}"
          account_id: null
          contact_id: null
"""


@pytest.fixture
def stand_in() -> RuleBook:
    return bootstrap.read_rules(Settings(), STAND_IN, "stand-in")


def decided(services: Services, provider: FakeProvider, clock: MovableClock, amounts: list[float]) -> list[str]:
    """Signals of as many deals, decided as if the LLM had; returns their names."""
    events = []
    for at, amount in enumerate(amounts):
        name, deal = f"s{at}", f"70000{at}"
        value = {
            "id": deal, "name": f"Globex {at} seats", "is_closed": False, "amount": amount,
            "owner_id": f"30{at}", "owner_name": f"Robin R{at}", "close_date": "2099-01-01T00:00:00+00:00",
        }  # fmt: skip
        parts = {"deal": Part("deal", "crm", clock.now(), value), "change": Part("change", "crm", clock.now(), {})}
        provider.script[signal_id(name)] = parts
        events.append({"id": name, "deal": deal, "event": "deal.owner_changed"})
    put(services, *events)
    run_to(services, "execute")
    rows(services, "UPDATE plans SET decided_by = 'llm'")
    return [event["id"] for event in events]


def answer(services: Services, *, reject: int = 0) -> None:
    """A person's word on all that is open: a no for the first few, a yes for the rest."""
    open_ = rows(services, "SELECT action_id FROM approvals JOIN actions USING (action_id) ORDER BY deal_id")
    for at, row in enumerate(open_):
        word = approvals.reject if at < reject else approvals.approve
        word(services, row["action_id"], person("kim@example.com"))


def suggested(services: Services, least: int = 5) -> list[Suggestion]:
    with transaction(services.engine) as tx:
        return suggest(evidence.decisions(tx, period(services).since), least)


def test_what_was_decided_alike_and_approved_becomes_a_rule(
    make_services: MakeServices, stand_in: RuleBook, provider: FakeProvider, clock: MovableClock
) -> None:
    services = make_services(rules=stand_in)
    amounts = [41_000.0, 90_000.0, 12_000.0, 55_500.0, 47_000.0, 39_000.0, 61_000.0, 8_000.0, 70_000.0]
    decided(services, provider, clock, amounts)
    answer(services)
    clock.move(hours=1)
    (one,) = suggested(services)
    assert (one.alike, one.approved, one.rejected, one.others, one.same_words) == (6, 6, 0, 0, 6)
    assert one.rule["on"] == ["deal.owner_changed"]
    assert "deal.amount >= 41000" in one.rule["when"]
    assert "deal.is_closed == false" in one.rule["when"]
    (action,) = one.rule["then"]
    assert (action["type"], action["approval"]) == ("create_task", "always")
    assert action["params"]["subject"] == "Introduce yourself: {{ deal.name or 'the deal' }}"
    assert action["params"]["deal_id"] == "{{ deal.id }}"
    assert action["params"]["owner_id"] == "{{ deal.owner_id }}"
    assert action["params"]["body"].endswith("{ { today."), "what reads like a template is text"
    wanted = {signal_id(f"s{at}") for at, amount in enumerate(amounts) if amount >= 40_000}
    assert set(one.examples) <= wanted

    alone = bootstrap.read_rules(Settings(), "rules:\n" + one.yaml, "suggested.yaml")
    assert [rule.id for rule in alone.rules] == [one.rule["id"]]
    new = with_rule(Settings(), one.rule)
    old = bootstrap.load_rules(Settings())
    with looking(services.engine) as (_, snapshot):
        past = LedgerPast(services.settings, period(services), snapshot)
        found = compare(past, Trial(old, services.policy), Trial(new, services.policy), 1)
    assert {change.signal_id for change in found.changes} == {str(one) for one in wanted}
    assert (found.before.left_open, found.after.left_open) == (9, 3)
    assert (found.after.total("action"), found.after.total("approval")) == (6, 6)


def test_what_people_reject_is_not_suggested_but_listed(
    make_services: MakeServices, stand_in: RuleBook, provider: FakeProvider, clock: MovableClock
) -> None:
    services = make_services(rules=stand_in)
    decided(services, provider, clock, [50_000.0 + at for at in range(8)])
    answer(services, reject=6)
    assert suggested(services, least=2) == []
    with transaction(services.engine) as tx:
        (one,) = evidence.unwanted(tx, period(services).since, 5, 0.5)
        assert evidence.unwanted(tx, period(services).since, 9, 0.5) == []
        assert evidence.unwanted(tx, period(services).since, 5, 0.8) == []
    assert (one.rule, one.approved, one.rejected, one.rate) == ("from-the-llm", 2, 6, 0.75)
    assert len(one.examples) == 3


def test_too_few_make_no_rule(
    make_services: MakeServices, stand_in: RuleBook, provider: FakeProvider, clock: MovableClock
) -> None:
    services = make_services(rules=stand_in)
    decided(services, provider, clock, [50_000.0] * 4)
    answer(services)
    assert suggested(services) == []
    assert len(suggested(services, least=4)) == 1


def test_decisions_that_nothing_tells_apart_make_no_rule(
    make_services: MakeServices, stand_in: RuleBook, provider: FakeProvider, clock: MovableClock
) -> None:
    services = make_services(rules=stand_in)
    decided(services, provider, clock, [50_000.0] * 8)
    # As if the LLM had found half of these same facts to need nothing.
    rows(services, "DELETE FROM approvals WHERE action_id IN (SELECT action_id FROM actions WHERE deal_id > '700003')")
    rows(services, "DELETE FROM actions WHERE deal_id > '700003'")
    answer(services)
    assert suggested(services, least=4) == []


def test_the_llm_s_many_findings_of_nothing_become_a_rule_for_nothing(
    make_services: MakeServices, stand_in: RuleBook, provider: FakeProvider, clock: MovableClock
) -> None:
    services = make_services(rules=stand_in)
    decided(services, provider, clock, [1_000.0 * at for at in range(20)])
    (one,) = suggested(services, least=5)
    assert "then" not in one.rule
    assert one.alike == 20
    (rule,) = bootstrap.read_rules(Settings(), "rules:\n" + one.yaml, "suggested.yaml").rules
    assert (rule.conclusive, rule.then) == (True, ())
    assert suggested(services, least=6) == []
