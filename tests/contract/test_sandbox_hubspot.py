"""The simulated HubSpot CRM: shapes, quirks and limits of its API."""

from collections.abc import Iterator
from typing import Any

import pytest

from adapters.sandbox import wire
from adapters.sandbox.control_client import Control
from adapters.sandbox.server import SandboxServer

BIG = 2**31


class MovedClock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_780_000_000.0

    def __call__(self) -> float:
        return self.seconds


class Crm:
    """HubSpot's API as an integrator calls it."""

    def __init__(self, url: str, clock: MovedClock) -> None:
        self.url = url
        self.clock = clock
        self.control = Control(url)

    def call(self, method: str, path: str, body: Any = None, token: str = "sandbox-token") -> wire.Answer:
        return wire.send_json(method, f"{self.url}/hubspot{path}", body, {"Authorization": f"Bearer {token}"})

    def seed(self, kind: str, **described: Any) -> str:
        return self.control.call("POST", "hubspot/objects", {"type": kind, **described})["ids"][0]


@pytest.fixture(scope="module")
def shared() -> Iterator[Crm]:
    clock = MovedClock()
    with SandboxServer(clock=clock) as server:
        yield Crm(server.url, clock)


@pytest.fixture
def crm(shared: Crm) -> Crm:
    shared.control.reset()
    return shared


def deal_with(crm: Crm, **values: str) -> str:
    base = {"dealname": "Acme", "amount": "48000", "dealstage": "qualifiedtobuy", "pipeline": "default"}
    return crm.seed("deal", properties=base | values)


def test_the_token_is_checked(crm: Crm) -> None:
    answer = crm.call("GET", "/crm/v3/owners", token="wrong")
    assert answer.status == 401
    assert answer.json()["category"] == "INVALID_AUTHENTICATION"


def test_values_are_text_or_null_and_unknown_names_silent(crm: Crm) -> None:
    id = deal_with(crm)
    record = crm.call("GET", f"/crm/v3/objects/deals/{id}?properties=amount,closedate,hs_is_closed,nonsense").json()
    assert record["id"] == id
    assert int(id) > BIG
    assert record["properties"]["amount"] == "48000"
    assert record["properties"]["closedate"] is None
    assert record["properties"]["hs_is_closed"] == "false"
    assert "nonsense" not in record["properties"]
    assert {"createdate", "hs_lastmodifieddate", "hs_object_id"} <= set(record["properties"])


@pytest.mark.parametrize("path", ["/crm/v3/objects/deals", "/crm/v3/objects/0-3", "/crm/objects/2026-03/deals"])
def test_a_type_has_several_paths(crm: Crm, path: str) -> None:
    id = deal_with(crm)
    assert crm.call("GET", f"{path}/{id}").json()["properties"]["dealname"] == "Acme"


def test_a_write_keeps_history_and_comes_back_as_our_own(crm: Crm) -> None:
    id = deal_with(crm)
    answer = crm.call("PATCH", f"/crm/v3/objects/deals/{id}", {"properties": {"dealstage": "closedwon"}})
    assert answer.status == 200
    read = crm.call("GET", f"/crm/v3/objects/deals/{id}?propertiesWithHistory=dealstage&properties=hs_is_closed_won")
    history = read.json()["propertiesWithHistory"]["dealstage"]
    assert [entry["value"] for entry in history] == ["closedwon", "qualifiedtobuy"]
    assert (history[0]["sourceType"], history[0]["sourceId"]) == ("INTEGRATION", "1357924")
    assert read.json()["properties"]["hs_is_closed_won"] == "true"
    (event,) = crm.control.call("GET", "hubspot/events")["events"]
    assert (event["changeSource"], event["sourceId"]) == ("INTEGRATION", str(event["appId"]))
    assert (event["subscriptionType"], event["propertyValue"]) == ("deal.propertyChange", "closedwon")


def test_writing_the_same_value_again_is_no_change(crm: Crm) -> None:
    id = deal_with(crm)
    crm.call("PATCH", f"/crm/v3/objects/deals/{id}", {"properties": {"amount": "48000"}})
    assert crm.control.call("GET", "hubspot/events")["events"] == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("nonsense", "1", "PROPERTY_DOESNT_EXIST"),
        ("hs_is_closed", "true", "READ_ONLY_VALUE"),
        ("dealstage", "nowhere", "INVALID_OPTION"),
        ("amount", "much", "INVALID_INTEGER"),
    ],
)
def test_a_wrong_value_is_a_400_that_names_it(crm: Crm, name: str, value: str, code: str) -> None:
    id = deal_with(crm)
    answer = crm.call(
        "PATCH", f"/crm/v3/objects/deals/{id}", {"properties": {name: value, "amount": "1"} | {name: value}}
    )
    body = answer.json()
    assert answer.status == 400
    assert body["category"] == "VALIDATION_ERROR"
    assert body["errors"][0]["code"] == code
    assert body["errors"][0]["context"] == {"propertyName": [name]}
    assert crm.call("GET", f"/crm/v3/objects/deals/{id}").json()["properties"]["amount"] == "48000"


def test_a_missing_record_has_no_category(crm: Crm) -> None:
    answer = crm.call("GET", "/crm/v3/objects/deals/999")
    assert answer.status == 404
    assert answer.json()["message"] == "resource not found"
    assert "category" not in answer.json()


def test_times_without_milliseconds_have_no_fraction(crm: Crm) -> None:
    id = deal_with(crm, closedate="1767225600000")
    assert crm.call("GET", f"/crm/v3/objects/deals/{id}").json()["properties"]["closedate"] == "2026-01-01T00:00:00Z"


def test_a_task_is_tied_to_its_deal_and_recorded(crm: Crm) -> None:
    deal = deal_with(crm)
    answer = crm.call("POST", "/crm/v3/objects/tasks", task_for(deal, 216))
    assert answer.status == 201
    assert answer.headers["location"].endswith(f"/crm/v3/objects/tasks/{answer.json()['id']}")
    links = crm.call("GET", f"/crm/v4/objects/deals/{deal}/associations/tasks").json()["results"]
    assert links[0]["toObjectId"] == int(answer.json()["id"])
    assert links[0]["associationTypes"] == [{"category": "HUBSPOT_DEFINED", "typeId": 215, "label": None}]
    (effect,) = crm.control.effects("hubspot")
    assert (effect["kind"], effect["id"], effect["marker"]) == ("tasks.create", answer.json()["id"], "k1")


def test_an_association_type_of_the_wrong_direction_is_a_400(crm: Crm) -> None:
    assert crm.call("POST", "/crm/v3/objects/tasks", task_for(deal_with(crm), 215)).status == 400
    assert crm.control.effects() == []


def test_a_task_needs_its_due_date(crm: Crm) -> None:
    assert crm.call("POST", "/crm/v3/objects/tasks", {"properties": {"hs_task_subject": "x"}}).status == 400


def test_there_is_no_key_against_repeats_and_the_effects_show_it(crm: Crm) -> None:
    deal = deal_with(crm)
    ids = [crm.call("POST", "/crm/v3/objects/tasks", task_for(deal, 216)).json()["id"] for _ in range(2)]
    assert ids[0] != ids[1]
    assert len(crm.control.effects("hubspot")) == 2
    assert crm.control.duplicates() == [{"vendor": "hubspot", "kind": "tasks.create", "marker": "k1", "ids": ids}]


def test_batch_read_has_holes_and_an_order_of_its_own(crm: Crm) -> None:
    ids = [deal_with(crm, dealname=name) for name in "abc"]
    body = {"properties": ["dealname"], "inputs": [{"id": id} for id in [*ids, "999"]]}
    answer = crm.call("POST", "/crm/v3/objects/deals/batch/read", body)
    assert answer.status == 207
    assert {record["id"] for record in answer.json()["results"]} == set(ids)
    assert [record["id"] for record in answer.json()["results"]] != ids
    assert answer.json()["numErrors"] == 1
    assert answer.json()["errors"][0]["context"] == {"ids": ["999"]}


def test_version_2026_09_puts_the_holes_into_a_200(crm: Crm) -> None:
    answer = crm.call("POST", "/crm/objects/2026-09/deals/batch/read", {"inputs": [{"id": "999"}]})
    assert (answer.status, answer.json()["numErrors"]) == (200, 1)


@pytest.mark.parametrize(("count", "history", "status"), [(100, [], 207), (101, [], 400), (51, ["amount"], 400)])
def test_batch_sizes_are_limited(crm: Crm, count: int, history: list[str], status: int) -> None:
    body = {"propertiesWithHistory": history, "inputs": [{"id": str(number + 1)} for number in range(count)]}
    assert crm.call("POST", "/crm/v3/objects/deals/batch/read", body).status == status


def test_without_trace_ids_one_bad_input_fails_the_batch(crm: Crm) -> None:
    good, bad = note("good"), {"properties": {"nonsense": "1", "hs_timestamp": "1"}}
    assert crm.call("POST", "/crm/v3/objects/notes/batch/create", {"inputs": [good, bad]}).status == 400
    assert crm.control.effects() == []


def test_with_trace_ids_the_rest_is_done(crm: Crm) -> None:
    good = note("good") | {"objectWriteTraceId": "t1"}
    bad = {"properties": {"nonsense": "1", "hs_timestamp": "1"}, "objectWriteTraceId": "t2"}
    answer = crm.call("POST", "/crm/v3/objects/notes/batch/create", {"inputs": [good, bad]})
    assert answer.status == 207
    assert [result["objectWriteTraceId"] for result in answer.json()["results"]] == ["t1"]
    assert answer.json()["errors"][0]["context"]["objectWriteTraceId"] == ["t2"]
    assert [effect["kind"] for effect in crm.control.effects()] == ["notes.create"]


def test_batch_update_writes_many(crm: Crm) -> None:
    ids = [deal_with(crm), deal_with(crm)]
    inputs = [{"id": id, "properties": {"amount": "5"}} for id in ids]
    assert crm.call("POST", "/crm/v3/objects/deals/batch/update", {"inputs": inputs}).status == 200
    for id in ids:
        assert crm.call("GET", f"/crm/v3/objects/deals/{id}").json()["properties"]["amount"] == "5"


def test_the_search_index_lags(crm: Crm) -> None:
    id = deal_with(crm)
    crm.call("PATCH", f"/crm/v3/objects/deals/{id}", {"properties": {"amount": "52000"}})
    made = crm.control.call("POST", "hubspot/objects/deal", {"properties": {"dealname": "Fresh"}})["record"]["id"]
    assert found_amounts(crm) == {id: "48000"}
    crm.clock.seconds += 5.0
    assert found_amounts(crm) == {id: "52000", made: None}


def test_search_filters_by_operators_and_associations(crm: Crm) -> None:
    company = crm.seed("company", properties={"name": "Acme"})
    small = deal_with(crm, amount="100")
    large = crm.seed("deal", properties={"amount": "900"}, associations=[{"type": "company", "id": company}])
    assert searched(crm, [("amount", "GT", "500")]) == [large]
    assert searched(crm, [("amount", "BETWEEN", "50", "200")]) == [small]
    assert searched(crm, [("dealname", "NOT_HAS_PROPERTY", None)]) == [large]
    assert searched(crm, [("associations.company", "EQ", company)]) == [large]
    body = {"filterGroups": [{"filters": [{"propertyName": "amount", "operator": "LIKE", "value": "1"}]}]}
    crm.clock.seconds += 1
    assert crm.call("POST", "/crm/v3/objects/deals/search", body).status == 400


def test_associations_are_numbers_and_none_at_all_is_an_error_entry(crm: Crm) -> None:
    company = crm.seed("company", id="300000000001", properties={"name": "Acme"})
    tied = crm.seed("deal", associations=[{"type": "company", "id": company, "primary": True}])
    loose = deal_with(crm)
    body = {"inputs": [{"id": tied}, {"id": loose}]}
    answer = crm.call("POST", "/crm/v4/associations/deals/companies/batch/read", body)
    assert answer.status == 207
    (result,) = answer.json()["results"]
    assert result["from"] == {"id": tied}
    assert result["to"][0]["toObjectId"] == 300000000001
    assert [kind["typeId"] for kind in result["to"][0]["associationTypes"]] == [5, 341]
    (error,) = answer.json()["errors"]
    assert error["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert error["context"]["fromObjectId"] == [loose]
    inline = crm.call("GET", f"/crm/v3/objects/deals/{tied}?associations=companies").json()["associations"]
    assert [entry["type"] for entry in inline["companies"]["results"]] == [
        "deal_to_company",
        "deal_to_company_unlabeled",
    ]


def test_the_limit_is_a_429_without_retry_after(crm: Crm) -> None:
    crm.control.knobs(hubspot={"rate_limit": 2})
    answers = [crm.call("GET", "/crm/v3/owners") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[1].headers["x-hubspot-ratelimit-remaining"] == "0"
    assert "retry-after" not in answers[2].headers
    assert answers[2].json()["errorType"] == "RATE_LIMIT"
    crm.clock.seconds += 10.0
    assert crm.call("GET", "/crm/v3/owners").status == 200


def test_search_has_a_limit_of_its_own(crm: Crm) -> None:
    answers = [crm.call("POST", "/crm/v3/objects/deals/search", {}) for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert not any("ratelimit" in name for name in answers[0].headers)


def test_a_fresh_record_is_unreadable_for_a_while(crm: Crm) -> None:
    crm.control.knobs(hubspot={"readable_after": 3.0})
    made = crm.control.call("POST", "hubspot/objects/deal", {"properties": {"dealname": "New", "amount": "7"}})
    id = made["record"]["id"]
    assert crm.call("GET", f"/crm/v3/objects/deals/{id}").status == 404
    crm.clock.seconds += 3.0
    assert crm.call("GET", f"/crm/v3/objects/deals/{id}").status == 200
    kinds = [event["subscriptionType"] for event in made["events"]]
    assert sorted(kinds) == ["deal.creation", "deal.propertyChange", "deal.propertyChange"]
    assert len({event["occurredAt"] for event in made["events"]}) == 1


def test_a_new_association_can_stay_invisible_for_a_while(crm: Crm) -> None:
    deal = deal_with(crm)
    crm.control.knobs(hubspot={"links_visible_after": 2.0})
    crm.call("POST", "/crm/v3/objects/tasks", task_for(deal, 216))
    path = f"/crm/v4/objects/deals/{deal}/associations/tasks"
    assert crm.call("GET", path).json()["results"] == []
    crm.clock.seconds += 2.0
    assert len(crm.call("GET", path).json()["results"]) == 1


def test_a_merged_id_answers_with_the_new_record_without_associations(crm: Crm) -> None:
    company = crm.seed("company", properties={"name": "Acme"})
    first = crm.seed("deal", properties={"dealname": "One"}, associations=[{"type": "company", "id": company}])
    second = deal_with(crm, dealname="Two")
    merged = crm.control.call("POST", "hubspot/merge", {"type": "deal", "primary": first, "merged": [second]})
    read = crm.call("GET", f"/crm/v3/objects/deals/{second}").json()
    assert read["id"] == str(merged["id"])
    assert read["properties"]["dealname"] == "One"
    ties = crm.call(
        "POST", "/crm/v4/associations/deals/companies/batch/read", {"inputs": [{"id": first}, {"id": read["id"]}]}
    )
    assert [result["from"]["id"] for result in ties.json()["results"]] == [read["id"]]
    assert [event["subscriptionType"] for event in merged["events"]] == ["deal.merge", "deal.deletion"]
    assert merged["events"][0]["newObjectId"] == merged["id"]
    change = {"properties": {"amount": "1"}}
    assert crm.call("PATCH", f"/crm/v3/objects/deals/{first}", change).status == 200
    batch = {"inputs": [{"id": first, **change}]}
    assert crm.call("POST", "/crm/v3/objects/deals/batch/update", batch).status == 400


def test_a_deleted_record_is_gone_but_for_archived_reads(crm: Crm) -> None:
    id = deal_with(crm)
    assert crm.call("DELETE", f"/crm/v3/objects/deals/{id}").status == 204
    assert crm.call("GET", f"/crm/v3/objects/deals/{id}").status == 404
    assert crm.call("GET", f"/crm/v3/objects/deals/{id}?archived=true").json()["archived"] is True


def test_a_known_email_is_a_conflict_that_names_the_contact(crm: Crm) -> None:
    id = crm.seed("contact", properties={"email": "lee@acme.example"})
    answer = crm.call("POST", "/crm/v3/objects/contacts", {"properties": {"email": "LEE@acme.example"}})
    assert answer.status == 409
    assert answer.json()["message"].endswith(f"Existing ID: {id}")


def test_a_persons_change_has_its_own_time_and_gives_the_webhook(crm: Crm) -> None:
    id = deal_with(crm)
    (event,) = crm.control.edit("deal", id, {"closedate": "2026-12-31T00:00:00Z"}, occurredAt=1780000000123, userId=7)
    assert event["objectId"] == int(id)
    assert event["occurredAt"] == 1780000000123
    assert event["propertyValue"] == "1798675200000"
    assert (event["changeSource"], event["sourceId"]) == ("CRM_UI", "userId:7")
    read = crm.call("GET", f"/crm/v3/objects/deals/{id}?propertiesWithHistory=closedate").json()
    assert read["properties"]["closedate"] == "2026-12-31T00:00:00Z"
    assert read["propertiesWithHistory"]["closedate"][0]["updatedByUserId"] == 7


def test_association_events_tell_both_sides_and_have_no_object_id(crm: Crm) -> None:
    contact = crm.seed("contact", properties={"email": "a@b.example"})
    deal = crm.seed("deal", associations=[{"type": "contact", "id": contact}])
    body = {"from": {"type": "deal", "id": deal}, "to": {"type": "contact", "id": contact}, "removed": True}
    events = crm.control.call("POST", "hubspot/associations", body)["events"]
    assert [event["associationType"] for event in events] == ["DEAL_TO_CONTACT", "CONTACT_TO_DEAL"]
    assert all(event["associationRemoved"] and "objectId" not in event for event in events)
    assert crm.control.call("POST", "hubspot/associations", body)["events"] == []


def test_subscriptions_may_be_chosen_the_generic_kind_too(crm: Crm) -> None:
    crm.control.knobs(hubspot={"subscriptions": ["object.propertyChange:0-3/amount"]})
    id = deal_with(crm)
    (event,) = crm.control.edit("deal", id, {"amount": "9", "dealname": "X"})
    assert (event["subscriptionType"], event["objectTypeId"]) == ("object.propertyChange", "0-3")
    assert event["isSensitive"] is False


def test_owners_pipelines_and_properties(crm: Crm) -> None:
    owner = crm.call("GET", "/crm/v3/owners?email=dana@revpipe.example").json()["results"][0]
    assert owner["id"] != str(owner["userId"])
    assert crm.call("GET", f"/crm/v3/owners/{owner['id']}").json()["email"] == owner["email"]
    stages = crm.call("GET", "/crm/v3/pipelines/deals").json()["results"][0]["stages"]
    assert {"isClosed": "true", "probability": "1.0"} in [stage["metadata"] for stage in stages]
    names = {item["name"] for item in crm.call("GET", "/crm/v3/properties/deals").json()["results"]}
    assert {"dealstage", "amount", "closedate"} <= names


def test_a_list_is_paged(crm: Crm) -> None:
    ids = [deal_with(crm) for _ in range(3)]
    first = crm.call("GET", "/crm/v3/objects/deals?limit=2").json()
    rest = crm.call("GET", f"/crm/v3/objects/deals?limit=2&after={first['paging']['next']['after']}").json()
    assert [record["id"] for record in first["results"] + rest["results"]] == ids
    assert "paging" not in rest


def test_control_says_what_is_wrong(crm: Crm) -> None:
    answer = wire.send_json("POST", f"{crm.url}/_sandbox/knobs", {"hubspot": {"rat_limit": 1}})
    assert answer.status == 400
    assert "rat_limit" in answer.json()["error"]


def test_reset_makes_all_new(crm: Crm) -> None:
    id = deal_with(crm)
    crm.call("POST", "/crm/v3/objects/tasks", task_for(id, 216))
    crm.control.knobs(hubspot={"rate_limit": 1})
    crm.control.reset()
    assert crm.control.effects() == []
    assert [crm.call("GET", f"/crm/v3/objects/deals/{id}").status for _ in range(2)] == [404, 404]


def task_for(deal: str, link_type: int) -> dict[str, Any]:
    kinds = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": link_type}]
    return {
        "properties": {
            "hs_timestamp": "2026-11-24T09:00:00Z",
            "hs_task_subject": "Call",
            "hs_task_body": "Stalled.<br>[revpipe k1]",
            "hs_task_status": "NOT_STARTED",
        },
        "associations": [{"to": {"id": deal}, "types": kinds}],
    }


def note(text: str) -> dict[str, Any]:
    return {"properties": {"hs_timestamp": "2026-11-24T09:00:00Z", "hs_note_body": text}, "associations": []}


def found_amounts(crm: Crm) -> dict[str, str | None]:
    found = crm.call("POST", "/crm/v3/objects/deals/search", {"properties": ["amount"]}).json()["results"]
    return {record["id"]: record["properties"]["amount"] for record in found}


def searched(crm: Crm, rules: list[tuple[Any, ...]]) -> list[str]:
    filters = [
        {"propertyName": name, "operator": operator, "value": value, "highValue": high[0] if high else None}
        for name, operator, value, *high in rules
    ]
    found = crm.call("POST", "/crm/v3/objects/deals/search", {"filterGroups": [{"filters": filters}]}).json()
    return [record["id"] for record in found["results"]]
