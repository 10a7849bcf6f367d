"""`revpipe rules simulate`, `diff` and `suggest` on a ledger, as a person types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from config.settings import Settings
from revpipe import bootstrap
from revpipe.cli import cli
from revpipe.embedded.client import Lease
from revpipe.services import Services
from tests.integration.conftest import MakeServices
from tests.integration.ledger_fixtures import FakeProvider, MovableClock, put, run_to
from tests.integration.test_simulate import happened
from tests.integration.test_suggest import STAND_IN, answer, decided

Ask = Callable[..., Result]
STAGES = """
rules:
  - id: stage-set
    description: A deal of some size went to another stage.
    owner: tests
    on: [deal.stage_changed]
    when: deal.amount >= {amount}
    then:
      - type: send_alert
        params: {{channel: null, title: "{{{{ deal.name }}}}", text: moved, fields: {{}}, link: null}}
"""


@pytest.fixture
def ask(ledger_url: str, pair: Lease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command on the test's ledger."""
    for name, value in (("DATABASE_URL", ledger_url), ("REDIS_URL", pair.redis_url), ("REVPIPE_DATA_DIR", tmp_path)):
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("BROKER_URL", raising=False)
    return lambda *arguments: CliRunner().invoke(cli, ["rules", *(str(one) for one in arguments)])


@pytest.fixture
def moved(make_services: MakeServices, provider: FakeProvider, clock: MovableClock) -> Services:
    """A ledger in which six deals of 10,000 to 60,000 moved an hour ago, under rules for those from 30,000 on."""
    services = make_services(rules=bootstrap.read_rules(Settings(), STAGES.format(amount=30_000), "then"))
    clock.move(hours=-1)
    for at in range(1, 7):
        happened(services, provider, {"id": f"s{at}", "deal": f"d{at}", "event": "deal.stage_changed"}, amount=1e4 * at)
    return services


def written(folder: Path, amount: int) -> Path:
    path = folder / f"rules-{amount}.yaml"
    path.write_text(STAGES.format(amount=amount), "utf-8")
    return path


def answer_of(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_simulate_tells_what_a_file_would_do(ask: Ask, moved: Services, tmp_path: Path) -> None:
    told = answer_of(ask("simulate", written(tmp_path, 50_000), "--json"))
    assert told["signals"] == 6
    assert told["decisions"] == {"acts": 2, "suppressed": 0, "nothing_due": 0, "left_open": 4}
    assert told["actions"] == [
        {"rule": "stage-set", "type": "send_alert", "planned": 2, "approvals": 0, "suppressed": {}}
    ]
    text = ask("simulate", written(tmp_path, 50_000), "--since", "2h").output
    assert "6 signals judged" in text
    assert "stage-set" in text
    assert answer_of(ask("simulate", "--since", "30m", "--json"))["signals"] == 0


def test_several_processes_say_the_same(ask: Ask, moved: Services, tmp_path: Path) -> None:
    alone, together = (
        answer_of(ask("diff", written(tmp_path, 30_000), written(tmp_path, 50_000), "--jobs", jobs, "--json"))
        for jobs in (1, 3)
    )
    assert alone["changed"] == 2
    for name in ("changes", "rules", "changed"):
        assert alone[name] == together[name]
    assert alone["new"]["actions"] == together["new"]["actions"]


def test_diff_takes_files_and_stored_versions(ask: Ask, moved: Services, tmp_path: Path) -> None:
    version = moved.rules.version
    new = written(tmp_path, 50_000)
    told = answer_of(ask("diff", version[:8], new, "--json", "--html", tmp_path / "page.html"))
    assert (told["old"]["version"], told["changed"]) == (version, 2)
    assert {one["causes"][0]["text"] for one in told["changes"]} == {"deal.amount >= 50000 does not hold"}
    assert "2 of 6 signals" in (tmp_path / "page.html").read_text("utf-8")
    table = ask("diff", version, new).output
    assert "deal.amount >= 50000 does not hold   [deal.amount = 30000.0]" in table
    # With no name: the version that decided last against config/rules.yaml.
    by_default = answer_of(ask("diff", "--json"))
    assert (by_default["old"]["version"], by_default["new"]["name"]) == (version, "config/rules.yaml")


def test_what_is_neither_file_nor_version_is_told_with_the_versions_that_there_are(ask: Ask, moved: Services) -> None:
    refused = ask("diff", "nowhere.yaml", "config/rules.yaml")
    assert refused.exit_code == 2
    assert "neither a file nor a stored version is 'nowhere.yaml'" in refused.output
    assert moved.rules.version in refused.output
    assert ask("diff", "a", "b", "c").exit_code == 2


def test_a_fault_in_the_file_is_told_with_its_line(ask: Ask, moved: Services, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(STAGES.format(amount=1).replace("deal.amount", "deal.amuont"), "utf-8")
    refused = ask("simulate", path)
    assert "bad.yaml:7: when:" in str(refused.exception)


def test_a_ledger_without_a_decision_has_nothing_to_compare_with(ask: Ask, services: Services) -> None:
    refused = ask("diff")
    assert refused.exit_code == 2
    assert "name a file to compare with" in refused.output
    assert answer_of(ask("simulate", "--json"))["share"] == {"rules": None, "llm": None}


def test_suggest_prints_a_rule_for_the_file(
    ask: Ask, make_services: MakeServices, provider: FakeProvider, clock: MovableClock
) -> None:
    services = make_services(rules=bootstrap.read_rules(Settings(), STAND_IN, "stand-in"))
    clock.move(hours=-1)
    decided(services, provider, clock, [50_000.0 + at for at in range(12)])
    answer(services, reject=1)
    text = ask("suggest").output
    assert "11 decisions alike, 11 approved, 1 rejected" in text
    assert "  - id: suggested-deal-owner-changed-create-task" in text
    assert "    on:\n" in text
    (told,) = answer_of(ask("suggest", "--json"))["suggestions"]
    assert told["fault"] is None
    assert told["effect"]["llm_calls"][0] > told["effect"]["llm_calls"][1]


def test_nothing_is_left_to_suggest_in_an_empty_ledger(ask: Ask, services: Services) -> None:
    assert put(services).accepted == 0
    run_to(services, "decide")
    assert "none was made 5 times alike" in ask("suggest").output
