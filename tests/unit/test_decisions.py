"""One case decided: what a replay finds carried out, and how long a simulated action stays open."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from revpipe import bootstrap
from revpipe.decisions import Case, decide
from revpipe.plan_history import Known
from revpipe.rules.book import load
from revpipe.signals import Signal
from revpipe.simulating.changes import Differ
from revpipe.simulating.judge import Judge, Trial
from revpipe.simulating.past import Past

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ONE = """
  - id: {}
    description: A call took place.
    on: [call.completed]
    when: "true"
    {}
    then: [{{type: send_alert, approval: always, params: {{title: A call}}}}]
"""


def trial(*rules: str) -> Trial:
    policy = bootstrap.load_policy()
    return Trial(load("rules:" + "".join(rules), dict.fromkeys(policy)), policy)


def case(name: str = "a", **row: int) -> Case:
    signal = Signal(
        signal_id=uuid.uuid5(uuid.NAMESPACE_OID, name), signal_type="call_complete", event="call.completed",
        source="gong", account_id=None, deal_id="d1", contact_id=None, payload={}, urgency="standard",
        confidence=1.0, fired_at=NOW, received_at=NOW, delivery_id=uuid.UUID(int=1), correlation_id=uuid.UUID(int=2),
    )  # fmt: skip
    return Case({"signal_id": signal.signal_id, "priority": "standard", "replays": 0} | row, signal, {}, "deal:d1")


def test_a_replay_does_not_carry_out_for_the_other_rule_what_was_carried_out_for_both() -> None:
    both = trial(ONE.format("first", ""), ONE.format("other", ""))
    done, twin = decide(case(), Known(), both, NOW).actions
    again = replace(case(replays=1), former=({**done, "state": "done"},))
    replayed = decide(again, Known(), both, NOW + timedelta(days=3)).actions
    assert twin["suppressed_by"] == done["action_id"]
    assert [(one["reason"], one["suppressed_by"]) for one in replayed] == [
        ("already_done", done["action_id"]),
        ("same_as_other_rule", done["action_id"]),
    ]


@pytest.mark.parametrize(("expires", "state"), [("", "suppressed"), ("expires: 5m", "planned")])
def test_a_simulated_approval_is_open_no_longer_than_its_rule_wants(expires: str, state: str) -> None:
    judge = Judge(trial(ONE.format("only", "cooldown: 1m\n    " + expires)))
    judge.decide(Past(case("a"), NOW))
    later = judge.decide(Past(case("b"), NOW + timedelta(minutes=10)))
    assert later.decision.actions[0]["state"] == state


def test_a_change_of_how_long_an_action_is_wanted_is_told() -> None:
    old, new = trial(ONE.format("only", "")), trial(ONE.format("only", "expires: 2h"))
    found = Differ(old.rules, new.rules).change(*(Judge(one).decide(Past(case(), NOW)) for one in (old, new)))
    assert found is not None
    assert [cause.text for cause in found.causes] == ["send_alert: expires never → after 2:00:00"]
