"""The action adapter against the sandbox, and against answers that the sandbox does not give, over HTTP."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hubspot_wire import CREATED, OpenGate, ScriptedServer, Settings, order

from adapters.hubspot.actions import HubSpotActions, build_actions
from adapters.hubspot.client import HubSpotClient
from adapters.sandbox.control import plant
from adapters.sandbox.hubspot_record import person
from adapters.sandbox.server import SandboxServer
from revpipe.errors import CredentialsRefused, EffectUnknown, NotFound, Permanent, RateLimited, Transient
from revpipe.ports import Effect

DEAL, OTHER_DEAL = "198765432101", "198765432102"


class Clock:
    """The sandbox's time, which a test moves."""

    def __init__(self):
        self.seconds = CREATED.timestamp()

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sandbox(clock):
    deals = [
        {"type": "deals", "id": id, "properties": {"amount": "1000", "dealstage": "qualifiedtobuy"}}
        for id in (DEAL, OTHER_DEAL)
    ]
    with SandboxServer(clock=clock) as server:
        plant(server.world, {"hubspot": {"objects": deals}})
        yield server


@pytest.fixture
def actions(sandbox):
    return build_actions(Settings(sandbox.url + "/hubspot"), OpenGate())


def scripted(server):
    return HubSpotActions(HubSpotClient(Settings(server.url), OpenGate()))


def done(sandbox, kind):
    return sandbox.world.effects.list("hubspot", kind)


def update(number=1, id=DEAL, **properties):
    params = {"object": "deal", "id": id, "properties": properties or {"amount": "52000"}}
    return order("update_crm", params, number=number)


def one(outcomes):
    (outcome,) = outcomes.values()
    return outcome


def test_a_task_is_made_with_its_marker_and_found_again(sandbox, actions):
    params = {"subject": "Call Dana", "body": "<b>Hi</b> & bye\nsoon", "due_in_days": 2, "task_type": "CALL"}
    wanted = order(params=params | {"priority": "HIGH", "owner_id": "71234567"}, deal_id=DEAL)
    assert actions.find(wanted) is None
    effect = one(actions.perform([wanted]))
    (made,) = done(sandbox, "tasks.create")
    assert (effect.external_id, effect.url, effect.detail) == (made.id, None, {"object_type": "task"})
    assert made.body["properties"] == {
        "hs_timestamp": "2026-11-24T17:00:00Z",
        "hs_task_subject": "Call Dana",
        "hs_task_body": f"&lt;b&gt;Hi&lt;/b&gt; &amp; bye<br>soon<br>[revpipe {wanted.key}]",
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "HIGH",
        "hs_task_type": "CALL",
        "hubspot_owner_id": "71234567",
    }
    assert actions.find(wanted) == effect
    assert actions.find(order(number=2, deal_id=DEAL)) is None


def test_many_tasks_go_in_one_call_and_each_has_its_own_outcome(sandbox, actions):
    orders = [order(number=number, deal_id=DEAL) for number in range(20)]
    bad_owner = order(params={"subject": "x", "deal_id": "999"}, number=98)
    wrong = order(params={"subjct": "x"}, number=99)
    outcomes = actions.perform([bad_owner, wrong, *orders])
    assert isinstance(outcomes[wrong.action_id], Permanent)
    assert isinstance(outcomes[bad_owner.action_id], NotFound)
    made = {effect.marker: effect.id for effect in done(sandbox, "tasks.create")}
    assert {each.key: outcomes[each.action_id].external_id for each in orders} == made


@pytest.mark.parametrize("fault", ["timeout_after_effect", "malformed", "late_effect"])
def test_an_ambiguous_end_is_told_and_the_effect_found(sandbox, actions, fault):
    wanted = order(deal_id=DEAL)
    sandbox.world.faults.add({"vendor": "hubspot", "kind": fault, "method": "POST", "path": "*/tasks", "count": 1})
    outcome = one(actions.perform([wanted]))
    assert isinstance(outcome, Transient)
    assert outcome.ambiguous
    for _ in range(100):
        found = actions.find(wanted)
        if found:
            break
    assert found.external_id == done(sandbox, "tasks.create")[0].id


def test_a_call_that_did_nothing_is_not_found(sandbox, actions):
    sandbox.world.faults.add({"vendor": "hubspot", "kind": "error", "status": 503, "method": "POST", "count": 1})
    wanted = order(deal_id=DEAL)
    outcome = one(actions.perform([wanted]))
    assert outcome.ambiguous
    assert actions.find(wanted) is None
    assert done(sandbox, "tasks.create") == []


def test_a_task_that_hangs_on_nothing_can_not_be_looked_for(actions):
    with pytest.raises(EffectUnknown, match="hangs on no"):
        actions.find(order())


def test_a_task_whose_deal_is_gone_can_not_be_looked_for(actions):
    with pytest.raises(EffectUnknown, match="gone"):
        actions.find(order(deal_id="404"))


def test_a_task_is_found_although_its_deal_was_merged(sandbox, actions):
    wanted = order(deal_id=DEAL)
    effect = one(actions.perform([wanted]))
    store = sandbox.world.hubspot
    store.merge(store.find("0-3", OTHER_DEAL), [store.find("0-3", DEAL)], author=store.app)
    assert actions.find(wanted) == effect


def test_a_task_is_found_among_many_over_several_pages(sandbox, actions):
    wanted = order(deal_id=DEAL)
    effect = one(actions.perform([wanted]))
    tie = [{"type": "deals", "id": DEAL}]
    plant(sandbox.world, {"hubspot": {"objects": [{"type": "tasks", "associations": tie} for _ in range(620)]}})
    assert actions.find(wanted) == effect


def test_a_task_that_is_listed_but_can_not_be_read_leaves_it_unknown():
    listed = {"results": [{"from": {"id": DEAL}, "to": [{"toObjectId": 9}]}]}
    lost = {"results": [], "errors": [{"category": "OBJECT_NOT_FOUND", "context": {"ids": ["9"]}}]}
    script = [(200, {"id": DEAL}), (200, listed), (207, lost)]
    with ScriptedServer(*script) as server, pytest.raises(EffectUnknown, match="could not be read"):
        scripted(server).find(order(deal_id=DEAL))


@pytest.mark.parametrize(
    ("first", "last", "kind"),
    [(1, None, Transient), (70, None, EffectUnknown), (7000, 1, Transient), (7000, 70, EffectUnknown)],
)
def test_what_is_new_is_looked_for_again_before_it_counts_as_unknown(sandbox, actions, first, last, kind):
    first_at, last_at = (ago and datetime.now(UTC) - timedelta(seconds=ago) for ago in (first, last))
    with pytest.raises(kind):
        actions.find(order(deal_id="404", first_tried_at=first_at, tried_at=last_at))


def test_an_item_of_which_a_batch_answer_tells_nothing_is_ambiguous():
    first, second, third = (order(number=number) for number in (1, 2, 3))
    body = {"hs_task_body": f"<p>x</p>[revpipe {third.key}]"}
    error = {"category": "VALIDATION_ERROR", "message": "no", "context": {"objectWriteTraceId": [first.key]}}
    answer = {"results": [{"id": "77", "properties": body}], "errors": [error]}
    with ScriptedServer((207, answer)) as server:
        outcomes = scripted(server).perform([first, second, third])
    assert type(outcomes[first.action_id]) is Permanent
    assert outcomes[second.action_id].ambiguous
    assert outcomes[third.action_id] == Effect("77", None, {"object_type": "task"})


@pytest.mark.parametrize(
    ("category", "kind", "ambiguous"),
    [
        ("INTERNAL_ERROR", Transient, True),
        ("SOMETHING_NEW", Transient, True),
        ("RATE_LIMITS", RateLimited, False),
        ("VALIDATION_ERROR", Permanent, None),
    ],
)
@pytest.mark.parametrize("make", [lambda number: order(number=number), lambda number: update(number, id=str(number))])
def test_an_item_s_error_is_ambiguous_unless_it_shows_that_nothing_was_done(make, category, kind, ambiguous):
    good, bad = make(1), make(2)
    error = {"category": category, "message": "no", "context": {"objectWriteTraceId": [bad.key]}}
    made = {"id": "1", "properties": {}, "objectWriteTraceId": good.key}
    with ScriptedServer((207, {"results": [made], "errors": [error]})) as server:
        outcomes = scripted(server).perform([good, bad])
    assert outcomes[good.action_id].external_id == "1"
    assert type(outcomes[bad.action_id]) is kind
    assert getattr(outcomes[bad.action_id], "ambiguous", None) is ambiguous


def test_a_batch_refused_for_one_named_input_is_sent_again_without_it():
    first, second, third = (order(number=number) for number in (1, 2, 3))
    error = {"message": "no", "context": {"objectWriteTraceId": [second.key]}}
    refused = {"status": "error", "category": "VALIDATION_ERROR", "errors": [error]}
    made = [{"id": str(n), "properties": {}, "objectWriteTraceId": each.key} for n, each in ((3, third), (1, first))]
    with ScriptedServer((400, refused), (201, {"results": made})) as server:
        outcomes = scripted(server).perform([first, second, third])
    assert isinstance(outcomes[second.action_id], Permanent)
    assert [outcomes[each.action_id].external_id for each in (first, third)] == ["1", "3"]


def test_a_batch_refused_without_a_name_is_tried_one_by_one():
    first, second = order(number=1), order(number=2)
    refused = {"status": "error", "category": "VALIDATION_ERROR", "message": "no"}
    with ScriptedServer((400, refused), (201, {"id": "1", "properties": {}}), (400, refused)) as server:
        outcomes = scripted(server).perform([first, second])
    assert outcomes[first.action_id].external_id == "1"
    assert isinstance(outcomes[second.action_id], Permanent)


@pytest.mark.parametrize(
    ("status", "kind", "ambiguous"),
    [(401, CredentialsRefused, None), (502, Transient, True), (None, Transient, True), (423, Transient, False)],
)
def test_a_failed_call_is_the_outcome_of_each_of_its_orders(status, kind, ambiguous):
    orders = [order(number=1), order(number=2)]
    with ScriptedServer((status, {})) as server:
        outcomes = scripted(server).perform(orders)
    assert len(outcomes) == 2
    assert all(isinstance(outcome, kind) for outcome in outcomes.values())
    assert {getattr(outcome, "ambiguous", None) for outcome in outcomes.values()} == {ambiguous}


def test_properties_are_written_and_read_back(sandbox, actions):
    wanted = update(amount="52000.0", closedate="2026-12-31T00:00:00Z")
    assert actions.find(wanted) is None
    effect = one(actions.perform([wanted]))
    assert (effect.external_id, effect.detail) == (DEAL, {"object_type": "deal"})
    assert sandbox.world.hubspot.find("0-3", DEAL).value("closedate") == "2026-12-31T00:00:00Z"
    assert actions.find(wanted) == effect
    assert actions.find(update(id="404")) is None


def test_many_updates_each_have_their_own_outcome(sandbox, actions):
    orders = [update(1), update(2, OTHER_DEAL), update(3, amount="7"), update(4, "404"), update(5, OTHER_DEAL, foo="x")]
    outcomes = actions.perform(orders)
    assert [outcomes[each.action_id].external_id for each in orders[:3]] == [DEAL, OTHER_DEAL, DEAL]
    assert isinstance(outcomes[orders[3].action_id], NotFound)
    assert isinstance(outcomes[orders[4].action_id], Permanent)
    assert sandbox.world.hubspot.find("0-3", DEAL).value("amount") == "7"
    assert Counter(effect.id for effect in done(sandbox, "deals.update")) == {DEAL: 2, OTHER_DEAL: 1}


def test_an_update_of_a_merged_deal_in_a_batch_reaches_the_survivor(sandbox, actions):
    plant(sandbox.world, {"hubspot": {"objects": [{"type": "deals", "id": "5", "properties": {}}]}})
    store = sandbox.world.hubspot
    survivor = store.merge(store.find("0-3", DEAL), [store.find("0-3", "5")], author=store.app)[0]["newObjectId"]
    outcomes = actions.perform([update(1), update(2, OTHER_DEAL)])
    assert [outcome.external_id for outcome in outcomes.values()].count(str(survivor)) == 1
    assert store.find("0-3", str(survivor)).value("amount") == "52000"


@pytest.mark.parametrize("fault", ["timeout_after_effect", "malformed", "error"])
@pytest.mark.parametrize("numbers", [(1,), (1, 2)])
def test_an_update_that_may_have_arrived_is_ambiguous_and_not_repeated(sandbox, actions, fault, numbers):
    sandbox.world.faults.add({"vendor": "hubspot", "kind": fault, "count": 1})
    outcomes = actions.perform([update(number, id) for number, id in zip(numbers, (DEAL, OTHER_DEAL), strict=False)])
    assert [outcome.ambiguous for outcome in outcomes.values()] == [True] * len(numbers)
    assert len(done(sandbox, "deals.update")) == (0 if fault == "error" else len(numbers))


def write(sandbox, author, **properties):
    store = sandbox.world.hubspot
    store.change(store.find("0-3", DEAL), properties, author=author)


def test_a_person_s_newer_edit_does_not_hide_that_an_update_took_place(sandbox, actions, clock):
    first = datetime.fromtimestamp(clock.seconds, UTC)
    wanted = replace(update(amount="52000", dealstage="closedwon"), first_tried_at=first)
    one(actions.perform([wanted]))
    clock.seconds += 60
    write(sandbox, person(), amount="60000")
    assert actions.find(wanted).external_id == DEAL
    assert actions.find(replace(wanted, first_tried_at=None)) is None
    # One property alone is not the whole effect.
    assert actions.find(replace(wanted, params=wanted.params | {"properties": {"amount": "52000", "foo": "1"}})) is None


def test_a_value_that_stood_there_before_the_first_call_is_no_effect_of_it(sandbox, actions, clock):
    write(sandbox, person(), amount="52000")
    clock.seconds += 300
    write(sandbox, person(), amount="60000")
    clock.seconds += 300
    wanted = replace(update(amount="52000"), first_tried_at=datetime.fromtimestamp(clock.seconds, UTC))
    assert actions.find(wanted) is None
    one(actions.perform([wanted]))
    assert actions.find(wanted).external_id == DEAL


def test_nothing_to_do_calls_nobody():
    with ScriptedServer() as server:
        assert scripted(server).perform([]) == {}
    assert server.asked == []
