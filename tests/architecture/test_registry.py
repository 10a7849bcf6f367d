"""Every line of the registry loads, and what it makes fits the core's Protocol."""

import inspect
from typing import Any

import pytest
import yaml
from project_files import ROOT

from adapters import registry
from config.queues import NEEDS, OUTBOUND, QUEUES, WAYS, notices
from config.settings import Settings
from revpipe.bootstrap import _make, _NoCalls, load_policy, load_rules
from revpipe.language_model import LanguageModel
from revpipe.messenger import Messenger, Presses
from revpipe.ports import ActionAdapter, Provider, Source

SETTINGS = Settings(
    hubspot_client_secret=("s",),
    hubspot_access_token="t",
    hubspot_portal_id="1",
    public_url="https://revpipe.example",
    slack_bot_token="xoxb-1",
    slack_default_channel="C1",
    anthropic_api_key="k",
    openai_api_key="k",
)
LINES = [
    *((Source, path, (SETTINGS,), name) for name, path in registry.SOURCES.items()),
    *((Provider, path, (SETTINGS, _NoCalls()), name) for name, path in registry.PROVIDERS.items()),
    *((ActionAdapter, path, (SETTINGS, _NoCalls()), name) for name, path in registry.ACTIONS.items()),
    *((LanguageModel, path, (SETTINGS, _NoCalls(), "m", 1.0), name) for name, path in registry.MODELS.items()),
    *((Messenger, path, (SETTINGS, _NoCalls()), name) for name, path in registry.MESSENGERS.items()),
]


@pytest.mark.parametrize(("protocol", "path", "arguments", "name"), LINES, ids=[line[1] for line in LINES])
def test_a_line_makes_what_its_protocol_asks_for(
    protocol: Any, path: str, arguments: tuple[Any, ...], name: str
) -> None:
    made = _make(path, *arguments)
    assert made.name == name
    for attribute, kind in protocol.__annotations__.items():
        assert hasattr(made, attribute), f"{path} has no {attribute}: {kind}"
    for method, wanted in inspect.getmembers(protocol, inspect.isfunction):
        if not method.startswith("_"):
            asked = list(inspect.signature(wanted).parameters)[1:]
            assert list(inspect.signature(getattr(made, method)).parameters) == asked


def test_every_action_type_has_an_adapter_that_carries_it_out() -> None:
    policy = yaml.safe_load((ROOT / "config/actions.yaml").read_text(encoding="utf-8"))["actions"]
    for kind, entry in policy.items():
        assert kind in _make(registry.ACTIONS[entry["adapter"]], SETTINGS, _NoCalls()).types


def test_the_shipped_configuration_is_accepted() -> None:
    assert set(load_policy()) == {"create_task", "update_crm", "send_alert", "draft_followup"}
    assert len(load_rules(SETTINGS).rules) >= 8


def test_every_outside_system_has_queues_and_needs_that_exist() -> None:
    assert set(OUTBOUND) == set(registry.ACTIONS)
    for prefix, names in NEEDS.items():
        assert any(queue.startswith(prefix + ".") for queue in QUEUES)
        assert set(names) <= set(Settings.__dataclass_fields__)


def test_every_way_to_people_has_a_messenger_and_queues() -> None:
    assert set(WAYS) == set(registry.MESSENGERS)
    assert all(notices(way, "high") in QUEUES for way in WAYS)


def test_what_reads_presses_does_what_the_core_asks_for() -> None:
    made = _make(registry.PRESSES, SETTINGS, _NoCalls())
    for method, wanted in inspect.getmembers(Presses, inspect.isfunction):
        if not method.startswith("_"):
            asked = list(inspect.signature(wanted).parameters)[1:]
            assert list(inspect.signature(getattr(made, method)).parameters) == asked
