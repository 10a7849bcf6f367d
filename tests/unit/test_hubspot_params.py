import pytest

from adapters.hubspot.params import check
from revpipe.errors import Permanent

TASK = {"subject": "Call", "body": None, "owner_id": None, "deal_id": "1", "account_id": None, "contact_id": None}
UPDATE = {"object": "deal", "id": "1", "properties": {"amount": ""}}


@pytest.mark.parametrize(
    ("type", "params"),
    [
        ("create_task", {"subject": "Call"}),
        ("create_task", TASK | {"due_in_days": 0, "priority": "LOW", "task_type": "EMAIL", "body": "x" * 65_000}),
        ("update_crm", UPDATE),
    ],
)
def test_what_can_be_carried_out_passes(type, params):
    check(type, params)


@pytest.mark.parametrize(
    ("type", "params", "name"),
    [
        ("create_task", {}, "subject"),
        ("create_task", {"subject": "  "}, "subject"),
        ("create_task", {"subject": 5}, "subject"),
        ("create_task", TASK | {"subjekt": "x"}, "subjekt"),
        ("create_task", TASK | {"body": ["x"]}, "body"),
        ("create_task", TASK | {"body": "<" * 20_000}, "body"),
        ("create_task", TASK | {"due_in_days": -1}, "due_in_days"),
        ("create_task", TASK | {"due_in_days": True}, "due_in_days"),
        ("create_task", TASK | {"due_in_days": "2"}, "due_in_days"),
        ("create_task", TASK | {"due_in_days": 10**9}, "due_in_days"),
        ("create_task", TASK | {"priority": "low"}, "priority"),
        ("create_task", TASK | {"priority": []}, "priority"),
        ("create_task", TASK | {"task_type": "CHORE"}, "task_type"),
        ("create_task", TASK | {"deal_id": 1}, "deal_id"),
        ("create_task", TASK | {"owner_id": "dana"}, "owner_id"),
        ("update_crm", {"object": "deal", "id": "1"}, "properties"),
        ("update_crm", UPDATE | {"object": "task"}, "object"),
        ("update_crm", UPDATE | {"id": "1/../2"}, "id"),
        ("update_crm", UPDATE | {"id": None}, "id"),
        ("update_crm", UPDATE | {"properties": {}}, "properties"),
        ("update_crm", UPDATE | {"properties": {"Amount": "1"}}, "properties"),
        ("update_crm", UPDATE | {"properties": {"amount": 1}}, "properties"),
        ("send_alert", {}, "send_alert"),
    ],
)
def test_the_parameter_at_fault_is_named(type, params, name):
    with pytest.raises(Permanent, match=f"'{name}'"):
        check(type, params)
