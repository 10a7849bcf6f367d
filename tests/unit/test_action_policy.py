"""config/actions.yaml: the shipped policies, and each fault with its line."""

from datetime import timedelta
from pathlib import Path

import pytest

from revpipe.action_policy import load
from revpipe.errors import Misconfigured

GOOD = """actions:
  create_task:
    adapter: hubspot
    approval: never
    expires_hours: 4
    on_expiry: expire
"""


def test_the_shipped_file_asks_a_person_where_a_customer_or_the_crm_is_written_to() -> None:
    policies = load((Path(__file__).parents[2] / "config/actions.yaml").read_text("utf-8"))
    assert {name: policy.adapter for name, policy in policies.items()} == {
        "create_task": "hubspot",
        "update_crm": "hubspot",
        "send_alert": "slack",
        "draft_followup": "drafts",
    }
    assert {name for name, policy in policies.items() if policy.needs_person(None)} == {
        "update_crm",
        "draft_followup",
    }
    assert policies["draft_followup"].expires == timedelta(hours=4)


def test_a_rule_can_add_an_approval_but_not_take_one_away() -> None:
    free = load(GOOD)["create_task"]
    strict = load(GOOD.replace("never", "always"))["create_task"]
    assert not free.needs_person(None)
    assert free.needs_person("always")
    assert strict.needs_person("never")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "create_task:",
            "create_tsk:",
            "actions.yaml:2: unknown action type 'create_tsk'; did you mean create_task?",
        ),
        ("adapter: hubspot", "adapter: pigeon", "actions.yaml:3: create_task: `adapter` can't be 'pigeon'"),
        ("approval: never", "approval: maybe", "actions.yaml:4: create_task: `approval` can't be 'maybe'"),
        ("    approval: never\n", "", "actions.yaml:2: create_task: `approval` is missing"),
        ("expires_hours: 4", "expires_hours: 0", "actions.yaml:5: create_task: `expires_hours` must be"),
        ("expires_hours: 4", "expires_hours: true", "actions.yaml:5: create_task: `expires_hours` must be"),
        ("expires_hours: 4", "expires: 4", "actions.yaml:5: unknown key 'expires'"),
        ("on_expiry: expire", "on_expiry: send", "actions.yaml:6: create_task: `on_expiry` can't be 'send'"),
        ("on_expiry: expire", "approval: always", "actions.yaml:6: the key 'approval' stands here twice"),
        ("actions:", "action:", "actions.yaml:1: the file must have the key `actions`"),
        ("    adapter: hubspot", "   - x", "actions.yaml:"),
    ],
)
def test_a_fault_names_its_line(old: str, new: str, fault: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(GOOD.replace(old, new))
    assert fault in str(caught.value)
