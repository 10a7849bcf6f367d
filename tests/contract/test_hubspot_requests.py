"""What we send is what HubSpot's official Python package would send: every body fits its request models."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import hubspot.crm.associations.v4.models as association_models
import hubspot.crm.objects.models as object_models
import pytest
from hubspot.crm.objects.configuration import Configuration
from hubspot_wire import OpenGate, ScriptedServer, Settings, order

from adapters.hubspot.actions import HubSpotActions
from adapters.hubspot.client import HubSpotClient
from revpipe.errors import CredentialsRefused, Permanent, RateLimited, Transient

_PLAIN = {"str": str, "int": int, "bool": bool}
# The package ships with its own validation switched off; without it no required key would be missed.
_STRICT = Configuration()
_STRICT.client_side_validation = True


def fits(models, type_name, value):
    """Build the model from JSON, strictly: every key known, every required one there, every type right."""
    inner = re.fullmatch(r"list\[(.+)\]", type_name)
    if inner:
        assert isinstance(value, list), f"{value!r} is no list"
        return [fits(models, inner[1], item) for item in value]
    if type_name == "dict[str, str]":
        assert isinstance(value, dict)
        assert all(isinstance(each, str) for pair in value.items() for each in pair), value
        return value
    if type_name in _PLAIN:
        assert type(value) is _PLAIN[type_name], f"{value!r} is no {type_name}"
        return value
    model = getattr(models, type_name)
    attributes = {key: name for name, key in model.attribute_map.items()}
    unknown = set(value) - set(attributes)
    assert not unknown, f"{type_name} has no {unknown}"
    given = {attributes[key]: fits(models, model.openapi_types[attributes[key]], item) for key, item in value.items()}
    return model(**given, local_vars_configuration=_STRICT)


def client_of(server, gate=None):
    return HubSpotClient(Settings(server.url), gate or OpenGate())


def test_a_batch_read_fits_the_model():
    with ScriptedServer((200, {"results": []})) as server:
        client_of(server).read("deals", ["198765432101", "7"], ("dealname",), ("dealstage",))
    (body,) = server.bodies("/crm/v3/objects/deals/batch/read")
    model = fits(object_models, "BatchReadInputSimplePublicObjectId", body)
    assert [item.id for item in model.inputs] == ["198765432101", "7"]
    assert model.properties_with_history == ["dealstage"]


def test_an_association_read_and_its_next_page_fit_the_model():
    page = {"from": {"id": "5"}, "to": [{"toObjectId": 9}], "paging": {"next": {"after": "500"}}}
    last = {"from": {"id": "5"}, "to": [{"toObjectId": 10}]}
    with ScriptedServer((200, {"results": [page]}), (207, {"results": [last]})) as server:
        links = client_of(server).links("deals", "tasks", ["5"])
    bodies = server.bodies("/crm/v4/associations/deals/tasks/batch/read")
    models = [fits(association_models, "BatchInputPublicFetchAssociationsBatchRequest", body) for body in bodies]
    assert [model.inputs[0].after for model in models] == [None, "500"]
    assert [link.id for link in links.to["5"]] == ["9", "10"]


def test_one_task_fits_the_model():
    with ScriptedServer((201, {"id": "1", "properties": {}})) as server:
        params = {"subject": "Call", "body": "<b>", "owner_id": "71", "deal_id": "1", "account_id": "2"}
        HubSpotActions(client_of(server)).perform([order(params=params, contact_id="3")])
    (body,) = server.bodies("/crm/v3/objects/tasks")
    model = fits(object_models, "SimplePublicObjectInputForCreate", body)
    kinds = [(item.to.id, item.types[0].association_type_id) for item in model.associations]
    assert kinds == [("1", 216), ("2", 192), ("3", 204)]


def test_many_tasks_fit_the_model():
    with ScriptedServer((201, {"results": []})) as server:
        HubSpotActions(client_of(server)).perform([order(number=1), order(number=2, deal_id="8")])
    (body,) = server.bodies("/crm/v3/objects/tasks/batch/create")
    model = fits(object_models, "BatchInputSimplePublicObjectBatchInputForCreate", body)
    assert [item.object_write_trace_id for item in model.inputs] == [order(number=1).key, order(number=2).key]


def test_updates_fit_the_models():
    first = order("update_crm", {"object": "deal", "id": "1", "properties": {"amount": "5"}}, number=1)
    second = order("update_crm", {"object": "deal", "id": "2", "properties": {"amount": "6"}}, number=2)
    done = {"results": [{"id": "2", "properties": {}}, {"id": "1", "properties": {}}]}
    with ScriptedServer((200, {"id": "1"}), (200, done)) as server:
        actions = HubSpotActions(client_of(server))
        actions.perform([first])
        actions.perform([first, second])
    (single,) = server.bodies("/crm/v3/objects/deals/1")
    (many,) = server.bodies("/crm/v3/objects/deals/batch/update")
    assert fits(object_models, "SimplePublicObjectInput", single).properties == {"amount": "5"}
    model = fits(object_models, "BatchInputSimplePublicObjectBatchInput", many)
    assert [item.id for item in model.inputs] == ["1", "2"]


@pytest.mark.parametrize(
    ("type_name", "body"),
    [
        ("BatchReadInputSimplePublicObjectId", {"inputs": [], "properties": [], "propertyWithHistory": []}),
        ("BatchReadInputSimplePublicObjectId", {"inputs": [{"Id": "1"}], "properties": []}),
        ("SimplePublicObjectInputForCreate", {"properties": {"amount": 5}}),
        (
            "PublicAssociationsForObject",
            {"to": {"id": "1"}, "types": [{"associationCategory": "HUBSPOT_DEFINED"}]},
        ),
    ],
)
def test_the_check_itself_finds_misspelt_missing_and_ill_typed_keys(type_name, body):
    with pytest.raises((AssertionError, ValueError)):
        fits(object_models, type_name, body)


def test_owners_are_asked_for_page_by_page():
    first = {"results": [{"id": "1"}], "paging": {"next": {"after": "100"}}}
    with ScriptedServer((200, first), (200, {"results": [{"id": "2"}]})) as server:
        found = list(client_of(server).pages("/crm/v3/owners", limit=100))
    queries = [parse_qs(urlsplit(path).query) for _, path, _ in server.asked]
    assert queries == [{"limit": ["100"]}, {"limit": ["100"], "after": ["100"]}]
    assert [item["id"] for item in found] == ["1", "2"]


def test_ids_that_are_none_of_hubspots_are_never_sent():
    with ScriptedServer() as server:
        batch = client_of(server).read("deals", ["../owners", "12a", "", "9" * 40], ("dealname",))
    assert (batch.records, batch.errors, server.asked) == ({}, {}, [])


def test_one_id_that_hubspot_chokes_on_does_not_cost_its_neighbours():
    bad = {"status": "error", "category": "VALIDATION_ERROR", "message": "no"}
    script = [(400, bad), (200, {"results": [{"id": "1", "properties": {}}]}), (400, bad)]
    with ScriptedServer(*script) as server:
        batch = client_of(server).read("deals", ["1", "2"], ("dealname",))
    assert list(batch.records) == ["1"]
    assert isinstance(batch.errors["2"], Permanent)


def test_a_record_that_answers_with_an_unknown_id_is_asked_for_singly():
    stranger = {"id": "30", "properties": {}, "propertiesWithHistory": {"dealstage": []}}
    other = {"id": "2", "properties": {}}
    script = [(200, {"results": [stranger, other]}), (200, {"id": "30", "properties": {}})]
    with ScriptedServer(*script) as server:
        batch = client_of(server).read("deals", ["1", "2"], ("dealname",), ("dealstage",))
    assert {asked: record.id for asked, record in batch.records.items()} == {"1": "30", "2": "2"}
    assert "dealstage" in batch.records["1"].history


def test_a_merged_record_that_names_what_it_was_costs_no_further_call():
    survivor = {"id": "30", "properties": {"hs_merged_object_ids": "1;5"}}
    with ScriptedServer((200, {"results": [{"id": "2", "properties": {}}, survivor]})) as server:
        batch = client_of(server).read("deals", ["1", "2"], ("hs_merged_object_ids",))
    assert {asked: record.id for asked, record in batch.records.items()} == {"1": "30", "2": "2"}


def test_an_error_that_names_nobody_stands_for_all_that_are_missing():
    error = {"status": "error", "category": "SOMETHING_NEW", "message": "try later"}
    with ScriptedServer((207, {"results": [{"id": "2", "properties": {}}], "errors": [error]})) as server:
        batch = client_of(server).read("deals", ["1", "2", "3"], ("dealname",))
    assert list(batch.records) == ["2"]
    assert {asked: type(error) for asked, error in batch.errors.items()} == {"1": Transient, "3": Transient}


@pytest.mark.parametrize(
    ("body", "wait"),
    [
        ({"policyName": "TEN_SECONDLY_ROLLING"}, 10.0),
        ({"policyName": "SECONDLY"}, 1.0),
        ({"policyName": "DAILY"}, 3600.0),
        ({"message": "slow down"}, None),
        ([], None),
        (b"<html>", None),
    ],
)
def test_the_limit_named_in_a_429_tells_the_wait(body, wait):
    with ScriptedServer((429, body)) as server, pytest.raises(RateLimited) as caught:
        client_of(server).read("deals", ["1"], ("dealname",))
    assert caught.value.retry_after == wait


def test_retry_after_beats_the_limit_named():
    answer = (429, {"policyName": "DAILY"}, {"Retry-After": "7"})
    with ScriptedServer(answer) as server, pytest.raises(RateLimited) as caught:
        client_of(server).read("deals", ["1"], ("dealname",))
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("garbage", [b"{", b"[]", b"", b"<html></html>", json.dumps("x").encode()])
def test_an_unreadable_answer_is_transient_and_ambiguous_only_for_a_write(garbage):
    with ScriptedServer((200, garbage), (201, garbage), (200, garbage)) as server:
        client = client_of(server)
        with pytest.raises(Transient) as read:
            client.read("deals", ["1"], ("dealname",))
        with pytest.raises(Transient) as made:
            client.create("tasks", {"properties": {}})
        with pytest.raises(Transient) as changed:
            client.update("deals", "1", {"amount": "5"})
    assert [caught.value.ambiguous for caught in (read, made, changed)] == [False, True, True]


def test_every_call_passes_the_gate():
    gate = OpenGate()
    with ScriptedServer((200, {"results": []}), (401, {"category": "INVALID_AUTHENTICATION"})) as server:
        client = client_of(server, gate)
        client.read("deals", ["1"], ("dealname",))
        with pytest.raises(CredentialsRefused):
            client.read("deals", ["2"], ("dealname",))
    assert gate.calls == 2
    assert gate.ends[0] is None
    assert isinstance(gate.ends[1], CredentialsRefused)


def test_without_a_token_nothing_is_sent():
    with ScriptedServer() as server, pytest.raises(CredentialsRefused, match="HUBSPOT_ACCESS_TOKEN"):
        HubSpotClient(Settings(server.url, None), OpenGate()).read("deals", ["1"], ("dealname",))
    assert server.asked == []
