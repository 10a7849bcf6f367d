"""The causal page's data, and why a rule did not fire, on signals that went through the stages."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapters.sandbox.server import SandboxServer
from revpipe import approvals, causes, why_not
from revpipe.actors import Actor
from revpipe.cli import cli
from revpipe.db import transaction
from revpipe.embedded.client import Lease
from revpipe.errors import Permanent
from revpipe.rules.why_not import changed
from revpipe.services import Services
from revpipe.story.causal import Causal
from tests.integration.ledger_fixtures import (
    FakeProvider,
    MovableClock,
    call,
    put,
    rows,
    run_act,
    run_to,
    signal_id,
)
from tests.integration.ledger_rules import one_rule
from tests.integration.llm_fixtures import leave_open, open_signal, proposal, run_second, wants, with_model

ALERT = "    then:\n      - type: send_alert\n        params: {channel: null, title: a, text: b}\n"


def cause(services: Services, name: str) -> Causal:
    with transaction(services.engine) as tx:
        found = causes.of_signal(services, tx, signal_id(name))
    assert found is not None
    return found


def test_the_page_tells_all_of_a_signal_that_acted(services: Services, clock: MovableClock) -> None:
    put(services, call("a", "d1"), call("b", "d2"))
    run_to(services, "execute")
    run_act(services)
    told = cause(services, "a")
    assert told.raw is not None
    assert told.raw.text is not None
    assert '"a"' in told.raw.text
    assert (told.raw.accepted, told.raw.cut) == (2, False)
    assert {part.name: part.provider for part in told.parts}["deal"] == "crm"
    assert all(part.age_s == 0 for part in told.parts)
    assert told.decision is not None
    by_rule = {rule.rule_id: rule for rule in told.decision.rules}
    assert (by_rule["rival"].fired, by_rule["quiet-call"].fired, by_rule["ask-first"].listened) == (True, False, False)
    assert by_rule["rival"].description.startswith("A competitor was named")
    assert by_rule["rival"].terms[0].values == {"signal.competitors": ["Initech"]}
    actions = {action.type: action for action in told.actions}
    assert actions["create_task"].external_id == f"x-{actions['create_task'].action_id.hex}"
    assert told.trail[0].what == "received"
    assert (told.model, told.dead_letters, told.carried, told.survivor) == (None, (), (), None)
    assert told.ending == "acted"


def test_a_long_or_strange_request_is_cut_and_hidden(services: Services) -> None:
    put(services, {**call("long"), "payload": {"competitors": [], "note": "x" * causes.SHOWN}})
    run_to(services, "decide")
    raw = cause(services, "long").raw
    assert raw is not None
    assert raw.text is not None
    assert (len(raw.text), raw.cut) == (causes.SHOWN, True)
    assert raw.size > causes.SHOWN
    rows(services, "UPDATE deliveries SET body = CAST(:body AS bytea)", body=b"\x1f\x8b\x00\xff")
    hidden = cause(services, "long").raw
    assert hidden is not None
    assert (hidden.text, hidden.size) == (None, 4)
    rows(services, "DELETE FROM deliveries")
    assert cause(services, "long").raw is None


def test_approvals_are_told_with_their_versions(services: Services) -> None:
    put(services, call("c", "d3", event="deal.stage_changed", payload={}))
    run_to(services, "execute")
    (draft,) = [one for one in cause(services, "c").actions if one.type == "draft_followup"]
    assert draft.approval is not None
    assert [one.params for one in draft.approval.versions] == [draft.params]
    rows(
        services,
        "INSERT INTO approval_versions SELECT approval_id, n, CAST(:params AS jsonb), 'vera', 'console', now()"
        " FROM approvals, generate_series(1, 2) AS n WHERE action_id = :id",
        id=draft.action_id,
        params='{"subject": "b"}',
    )
    rows(services, "UPDATE approvals SET version = 2 WHERE action_id = :id", id=draft.action_id)
    approvals.reject(services, draft.action_id, Actor("vera@desk", "cli"), "not now")
    (draft,) = [one for one in cause(services, "c").actions if one.type == "draft_followup"]
    assert draft.approval is not None
    assert [(one.version, one.by) for one in draft.approval.versions] == [(1, "vera"), (2, "vera")]
    assert (draft.approval.decided_by, draft.approval.way, draft.approval.reason) == ("vera@desk", "cli", "not now")


def test_the_question_and_the_answer_of_a_model_are_told(services: Services, provider: FakeProvider) -> None:
    with SandboxServer() as sandbox:
        asking = with_model(services, sandbox)
        knobs = sandbox.world.models["anthropic"].knobs
        knobs.mode, knobs.script = "scripted", wants(proposal())
        leave_open(asking, provider, open_signal("a"))
        run_second(asking)
        told = cause(asking, "a")
    assert told.model is not None
    assert told.model.told["by"] == "llm"
    assert [(one.outcome, one.attempt) for one in told.model.calls] == [("answered", 1)]
    assert told.model.question is not None
    assert "Hooli" in told.model.question
    # Another context makes another question: what can't be made again as it was is not told.
    rows(services, "UPDATE contexts SET parts = jsonb_set(parts, '{deal,value,amount}', '1')")
    other = cause(asking, "a").model
    assert other is not None
    assert other.question is None


def test_an_id_of_nothing_is_nothing(services: Services) -> None:
    with transaction(services.engine) as tx:
        assert causes.of_signal(services, tx, uuid.uuid4()) is None


def test_why_not_changes_what_kept_the_rule_from_firing(services: Services) -> None:
    put(services, call("quiet", "d1", payload={"competitors": [], "call_id": "1"}))
    run_to(services, "decide")
    with transaction(services.engine) as tx:
        answer = why_not.of_signal(services, tx, signal_id("quiet"), "rival")
        other = why_not.of_signal(services, tx, signal_id("quiet"), "ask-first")
        with pytest.raises(Permanent, match="did fire"):
            why_not.of_signal(services, tx, signal_id("quiet"), "quiet-call")
        with pytest.raises(Permanent, match="no rule nowhere"):
            why_not.of_signal(services, tx, signal_id("quiet"), "nowhere")
        with pytest.raises(Permanent, match="no signal"):
            why_not.of_signal(services, tx, uuid.uuid4(), "rival")
    assert [(one.path, one.value) for one in answer.changes] == [("signal.competitors", [])]
    facts = {"signal": {"event": "call.completed", "competitors": []}}
    assert services.rules.evaluate(changed(facts, answer.changes)).fired == ("rival",)
    assert [(one.path, one.wanted) for one in other.changes] == [("signal.event", "deal.stage_changed")]


def test_why_not_is_judged_by_the_rules_of_its_time(services: Services, provider: FakeProvider) -> None:
    provider.deal = {"name": "Hooli", "amount": 70.0}
    former = replace(services, rules=one_rule(ALERT, when="deal.amount > 5000 && history.actions_30d < 3"))
    put(former, call("a", "d1"))
    run_to(former, "decide")
    with transaction(services.engine) as tx:
        answer = why_not.of_signal(services, tx, signal_id("a"), "only")
    assert [(one.path, one.value, one.wanted) for one in answer.changes] == [("deal.amount", 70.0, 5000.01)]


def test_the_command_tells_it(services: Services, pair: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(services, call("quiet", "d1", payload={"competitors": [], "call_id": "1"}))
    run_to(services, "decide")
    monkeypatch.setenv("DATABASE_URL", str(services.settings.database_url))
    monkeypatch.setenv("REDIS_URL", pair.redis_url)
    monkeypatch.setenv("REVPIPE_DATA_DIR", str(tmp_path))
    words = ["trace", str(signal_id("quiet")), "--why-not", "rival"]
    said = CliRunner().invoke(cli, words)
    assert said.exit_code == 0, said.output
    assert "Rule rival would have fired with signal.competitors" in said.output
    (told,) = json.loads(CliRunner().invoke(cli, [*words, "--json"]).output)
    assert (told["rule"], told["changes"][0]["path"]) == ("rival", "signal.competitors")
