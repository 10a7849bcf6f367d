"""The context provider against the sandbox, over HTTP."""

from datetime import UTC, datetime, timedelta

import pytest
from hubspot_wire import OpenGate, Settings, signal

from adapters.hubspot.client import HubSpotClient
from adapters.hubspot.context import HubSpotProvider, build_provider
from adapters.sandbox.control import plant
from adapters.sandbox.server import SandboxServer
from revpipe.errors import CredentialsRefused, RateLimited, Transient
from revpipe.hold import LeaseOver

ALL = frozenset({"deal", "change", "account", "contact"})
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
STAGED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
DEAL, COMPANY, OTHER, CONTACT, CHAMPION = "198765432101", "300000000001", "300000000002", "2233", "2234"


def iso(at):
    return at.isoformat().replace("+00:00", "Z")


def deal(id, associations=(), **properties):
    values = {"dealname": f"Deal {id}", "dealstage": "qualifiedtobuy", "pipeline": "default", "amount": "1000"}
    return {"type": "deals", "id": id, "properties": values | properties, "associations": list(associations)}


def world():
    history = {
        "dealstage": [
            {"value": "qualifiedtobuy", "timestamp": "2026-11-01T09:00:00Z"},
            {"value": "presentationscheduled", "timestamp": iso(STAGED)},
        ],
        "closedate": [
            {"value": "2026-12-01T00:00:00Z", "timestamp": "2026-11-01T09:00:00Z"},
            {"value": "2026-12-18T00:00:00Z", "timestamp": iso(STAGED)},
        ],
        "hs_next_step": [
            {"value": "Call", "timestamp": "2026-11-01T09:00:00Z"},
            {"value": "Send the form", "timestamp": iso(STAGED)},
        ],
    }
    ties = [
        {"type": "companies", "id": OTHER},
        {"type": "companies", "id": COMPANY, "primary": True},
        {"type": "contacts", "id": CONTACT},
        {"type": "contacts", "id": CHAMPION},
        {"type": "tasks", "id": "51"},
        {"type": "tasks", "id": "52"},
    ]
    main = deal(
        DEAL, ties, dealstage="presentationscheduled", amount="48000", deal_currency_code="EUR",
        closedate="2026-12-18T00:00:00Z", hubspot_owner_id="71234567", hs_next_step="Send the form",
        dealtype="newbusiness", hs_manual_forecast_category="COMMIT",
    ) | {"history": history, "createdAt": "2026-11-01T09:00:00Z"}  # fmt: skip
    person = {"firstname": "Lee", "lastname": "Park", "email": "lee@acme.example", "associatedcompanyid": COMPANY}
    return [
        {"type": "companies", "id": COMPANY, "properties": {"name": "Acme", "numberofemployees": "250"}},
        {"type": "companies", "id": OTHER, "properties": {"name": "Acme Holding"}},
        {"type": "contacts", "id": CONTACT, "properties": person},
        {"type": "contacts", "id": CHAMPION, "properties": {"hs_buying_role": "END_USER;champion"}},
        {"type": "tasks", "id": "51", "properties": {"hs_task_subject": "Done", "hs_task_status": "COMPLETED"}},
        {
            "type": "tasks",
            "id": "52",
            "properties": {
                "hs_task_subject": "Call Lee",
                "hs_task_status": "NOT_STARTED",
                "hs_task_type": "CALL",
                "hs_timestamp": "2026-11-24T09:00:00Z",
            },
        },
        main,
    ]


@pytest.fixture
def sandbox():
    with SandboxServer(clock=NOW.timestamp) as server:
        plant(server.world, {"hubspot": {"objects": world()}})
        yield server


@pytest.fixture
def gate():
    return OpenGate()


@pytest.fixture
def provider(sandbox, gate):
    return HubSpotProvider(HubSpotClient(Settings(sandbox.url + "/hubspot"), gate), now=lambda: NOW)


def add(sandbox, *objects):
    plant(sandbox.world, {"hubspot": {"objects": list(objects)}})


def fetch_one(provider, one, parts=ALL):
    return provider.fetch([one], {one.signal_id: frozenset(parts)})[one.signal_id]


def changed(name, value, *, event="deal.stage_changed", fired_at=STAGED, object_type="deal", object_id=DEAL, **ids):
    payload = {"object_type": object_type, "object_id": object_id, "property": name, "new_value": value}
    return signal(event, fired_at=fired_at, payload=payload, name=(name, value), **(ids or {"deal_id": DEAL}))


def test_a_deal_signal_gets_its_deal(provider):
    value = fetch_one(provider, changed("dealstage", "presentationscheduled"))["deal"].value
    assert value["id"] == DEAL
    assert (value["stage_label"], value["stage_order"]) == ("Presentation scheduled", 2)
    assert (value["amount"], value["currency"], value["probability"]) == (48000.0, "EUR", 0.6)
    assert (value["is_closed"], value["is_won"]) == (False, False)
    assert (value["owner_email"], value["owner_name"]) == ("dana@revpipe.example", "Dana Reyes")
    assert (value["type"], value["forecast_category"], value["lost_reason"]) == ("newbusiness", "COMMIT", None)
    assert (value["account_id"], sorted(value["contact_ids"])) == (COMPANY, [CONTACT, CHAMPION])
    assert value["close_date"] == "2026-12-18T00:00:00Z"
    assert [row["value"] for row in value["close_date_history"]] == ["2026-12-18T00:00:00Z", "2026-12-01T00:00:00Z"]
    stages = [(row["stage"], row["order"]) for row in value["stage_history"]]
    assert stages == [("presentationscheduled", 2), ("qualifiedtobuy", 1)]
    due = {"due_at": "2026-11-24T09:00:00Z", "owner_id": None}
    assert value["open_tasks"] == [{"id": "52", "subject": "Call Lee", "type": "CALL"} | due]


def company(id, domain, **properties):
    return {"type": "companies", "id": id, "properties": {"name": f"Company {id}", "domain": domain} | properties}


def intent(domain, name=None):
    return signal("intent.surge", fired_at=STAGED, payload={"domain": domain}, name=("intent", name or domain))


def accounts_of(provider, signals, parts=frozenset({"account"})):
    found = provider.fetch(signals, {one.signal_id: parts for one in signals})
    return [found[one.signal_id]["account"] for one in signals]


def test_a_signal_that_names_a_domain_gets_its_account(sandbox, provider, gate):
    add(
        sandbox,
        company("401", "Acme.example", hubspot_owner_id="71234567", hs_num_open_deals="2"),
        company("402", "globex.example"),
    )
    acme, none, globex, again = accounts_of(
        provider,
        [intent("acme.example"), intent("nobody.example"), intent("globex.example"), intent("acme.example", "other")],
    )
    assert (acme.value["id"], acme.value["owner_id"], acme.value["open_deals"]) == ("401", "71234567", 2)
    assert (none.value, none.missing, none.complete) == (None, "not_found", True)
    assert (globex.value["id"], again.value) == ("402", acme.value)
    assert gate.calls == 1


def test_a_thousand_accounts_cost_a_call_for_each_hundred(sandbox, provider, gate):
    sandbox.world.hubspot.knobs.search_rate_limit = None
    add(sandbox, *(company(str(1000 + number), f"a{number}.example") for number in range(1000)))
    for start in range(0, 1000, 100):
        found = accounts_of(provider, [intent(f"a{number}.example") for number in range(start, start + 100)])
        assert [part.value["id"] for part in found] == [str(1000 + number) for number in range(start, start + 100)]
    assert gate.calls == 10


def test_long_domains_are_searched_for_in_bodies_that_hubspot_takes(sandbox, provider, gate):
    domains = [f"{'x' * 60}.{number}.example" for number in range(100)]
    add(sandbox, *(company(str(2000 + number), domain) for number, domain in enumerate(domains)))
    found = accounts_of(provider, [intent(domain) for domain in domains])
    assert [part.value["domain"] for part in found] == domains
    assert gate.calls == 4


def test_of_companies_with_one_domain_the_one_that_matters_is_taken(sandbox, provider):
    add(
        sandbox,
        company("411", "a.example", hs_num_open_deals="9"),
        company("412", "a.example", hs_is_target_account="true"),
        company("421", "b.example"),
        company("422", "b.example", hs_num_open_deals="1"),
        company("431", "c.example"),
        company("432", "c.example"),
    )
    found = accounts_of(provider, [intent(f"{name}.example") for name in "abc"])
    assert [part.value["id"] for part in found] == ["412", "422", "431"]


def test_a_deal_is_found_by_a_domain_where_it_is_wanted(sandbox, provider):
    add(sandbox, company("441", "d.example"), deal("9001", [{"type": "companies", "id": "441", "primary": True}]))
    parts = fetch_one(provider, intent("d.example"), {"account", "deal"})
    assert (parts["deal"].value["id"], parts["account"].value["id"]) == ("9001", "441")
    parts = fetch_one(provider, intent("e.example"), {"account", "deal"})
    assert [(parts[name].value, parts[name].missing) for name in ("deal", "account")] == [
        (None, "no_association"),
        (None, "not_found"),
    ]


def test_a_search_that_is_refused_costs_only_those_who_need_it(sandbox):
    class NoSearch(OpenGate):
        def spend(self, vendor, kind):
            if kind == "search":
                raise RateLimited("not yet", retry_after=60)
            super().spend(vendor, kind)

    provider = HubSpotProvider(HubSpotClient(Settings(sandbox.url + "/hubspot"), NoSearch()), now=lambda: NOW)
    asked, other = intent("acme.example"), changed("dealstage", "presentationscheduled")
    found = provider.fetch([asked, other], {asked.signal_id: {"account", "deal"}, other.signal_id: ALL})
    for name in ("account", "deal"):
        part = found[asked.signal_id][name]
        assert (part.complete, type(part.error)) == (False, RateLimited)
    assert all(part.complete for part in found[other.signal_id].values())


def test_a_deal_signal_gets_its_primary_account_and_its_champion(provider):
    parts = fetch_one(provider, changed("dealstage", "presentationscheduled"))
    assert (parts["account"].value["id"], parts["account"].value["employees"]) == (COMPANY, 250)
    assert parts["contact"].value["id"] == CHAMPION
    assert parts["contact"].value["buying_roles"] == ["END_USER", "CHAMPION"]
    assert all(part.complete and part.provider == "hubspot" and part.fetched_at == NOW for part in parts.values())


def test_the_old_value_comes_from_the_history(provider):
    change = fetch_one(provider, changed("dealstage", "presentationscheduled"))["change"].value
    assert change == {
        "property": "dealstage",
        "old_value": "qualifiedtobuy",
        "new_value": "presentationscheduled",
        "at": iso(STAGED),
        "overtaken": False,
    }


def test_a_change_that_a_newer_value_has_overtaken_says_so(provider):
    early = changed("dealstage", "qualifiedtobuy", fired_at=datetime(2026, 11, 1, 9, 0, tzinfo=UTC))
    change = fetch_one(provider, early)["change"].value
    assert (change["old_value"], change["overtaken"]) == (None, True)


def test_a_close_date_told_as_epoch_is_found_in_the_history(provider):
    epoch = str(int(datetime(2026, 12, 18, tzinfo=UTC).timestamp() * 1000))
    change = fetch_one(provider, changed("closedate", epoch))["change"].value
    assert (change["old_value"], change["new_value"]) == ("2026-12-01T00:00:00Z", "2026-12-18T00:00:00Z")


def test_history_is_asked_for_other_properties_too(provider):
    change = fetch_one(provider, changed("hs_next_step", "Send the form", event="deal.property_changed"))["change"]
    assert change.value["old_value"] == "Call"


def test_a_contacts_change_and_the_best_of_its_open_deals(sandbox, provider):
    tie = [{"type": "contacts", "id": CONTACT}]
    add(sandbox, deal("11", tie, amount="90000", dealstage="closedwon"), deal("12", tie, amount="60000"))
    add(sandbox, deal("9", tie, amount="60000"), deal("13", tie, amount=""))
    one = changed("jobtitle", "CFO", event="contact.property_changed", object_type="contact", object_id=CONTACT,
                  contact_id=CONTACT)  # fmt: skip
    parts = fetch_one(provider, one)
    assert parts["deal"].value["id"] == "9"
    assert parts["contact"].value["name"] == "Lee Park"
    assert parts["account"].value["id"] == COMPANY
    assert (parts["change"].value, parts["change"].missing) == (None, "no_history")


def test_an_account_signal_keeps_its_own_account(sandbox, provider):
    parts = fetch_one(provider, signal("account.property_changed", fired_at=STAGED, account_id=OTHER))
    assert (parts["deal"].value["id"], parts["account"].value["id"]) == (DEAL, OTHER)
    assert parts["change"].missing == "not_a_change"


def test_no_association_is_no_error(sandbox, provider):
    add(sandbox, deal("77"), {"type": "contacts", "id": "78", "properties": {}})
    lone_deal = fetch_one(provider, signal("deal.created", fired_at=STAGED, deal_id="77"))
    assert lone_deal["deal"].value["contact_ids"] == lone_deal["deal"].value["open_tasks"] == []
    assert [lone_deal[name].missing for name in ("account", "contact")] == ["no_association"] * 2
    lone_contact = fetch_one(provider, signal("contact.created", fired_at=STAGED, contact_id="78"))
    assert [lone_contact[name].missing for name in ("deal", "account")] == ["no_association"] * 2


def test_only_closed_deals_are_no_open_deal(sandbox, provider):
    tie = [{"type": "companies", "id": "88"}]
    add(sandbox, {"type": "companies", "id": "88", "properties": {}}, deal("89", tie, dealstage="closedlost"))
    part = fetch_one(provider, signal("account.created", fired_at=STAGED, account_id="88"))["deal"]
    assert (part.value, part.missing, part.complete) == (None, "no_open_deal", True)


def test_a_record_that_is_not_there_is_not_found_later_and_transient_at_first(provider):
    later = fetch_one(provider, signal("deal.created", fired_at=NOW - timedelta(seconds=61), deal_id="404"))
    assert (later["deal"].value, later["deal"].missing, later["deal"].complete) == (None, "not_found", True)
    early = fetch_one(provider, signal("deal.created", fired_at=NOW - timedelta(seconds=59), deal_id="404"))
    assert isinstance(early, Transient)
    gone = fetch_one(provider, signal("deal.deleted", fired_at=NOW, deal_id="404"))
    assert gone["deal"].missing == "not_found"


def test_one_signals_trouble_is_its_own_entry(provider):
    good, bad = changed("dealstage", "presentationscheduled"), signal("deal.created", fired_at=NOW, deal_id="404")
    answers = provider.fetch([bad, good], {good.signal_id: ALL, bad.signal_id: ALL})
    assert isinstance(answers[bad.signal_id], Transient)
    assert answers[good.signal_id]["deal"].value["id"] == DEAL


def test_a_merged_deal_keeps_the_survivors_id(sandbox, provider):
    add(sandbox, deal("21", [{"type": "companies", "id": COMPANY}]), deal("22"))
    store = sandbox.world.hubspot
    survivor = store.merge(store.find("0-3", "21"), [store.find("0-3", "22")], author=store.app)[0]["newObjectId"]
    old, other = (signal("deal.created", fired_at=STAGED, deal_id=id, name=id) for id in ("21", DEAL))
    answers = provider.fetch([old, other], {old.signal_id: ALL, other.signal_id: ALL})
    assert answers[old.signal_id]["deal"].value["id"] == str(survivor)
    assert answers[old.signal_id]["account"].value["id"] == COMPANY
    assert answers[other.signal_id]["deal"].value["id"] == DEAL


def test_only_what_is_wanted_is_answered(provider, gate):
    one = changed("dealstage", "presentationscheduled")
    assert list(fetch_one(provider, one, {"account"})) == ["account"]
    before = gate.calls
    assert fetch_one(provider, one, {"calls"}) == {}
    assert gate.calls == before


def test_a_chunk_of_a_hundred_takes_few_calls(sandbox, provider, gate):
    ties = [{"type": "companies", "id": COMPANY}, {"type": "contacts", "id": CONTACT}, {"type": "tasks", "id": "52"}]
    add(sandbox, *(deal(str(1000 + number), ties) for number in range(100)))
    signals = [signal("deal.created", fired_at=STAGED, deal_id=str(1000 + n), name=n) for n in range(100)]
    answers = provider.fetch(signals, {one.signal_id: ALL for one in signals})
    assert [answers[one.signal_id]["deal"].value["id"] for one in signals] == [one.deal_id for one in signals]
    # 2 reads of 50 deals with history, 3 kinds of association, companies, contacts, tasks, owners and pipelines.
    assert gate.calls <= 10
    before = gate.calls
    provider.fetch(signals[:1], {signals[0].signal_id: ALL})
    assert gate.calls - before <= 7


def test_what_stands_for_the_whole_chunk_is_raised(sandbox, provider):
    sandbox.world.faults.add({"vendor": "hubspot", "kind": "rate_limit", "count": 1})
    with pytest.raises(RateLimited) as limited:
        fetch_one(provider, changed("dealstage", "presentationscheduled"))
    assert limited.value.retry_after == 10.0
    sandbox.world.faults.add({"vendor": "hubspot", "kind": "outage", "lasts": 60})
    with pytest.raises(Transient):
        fetch_one(provider, changed("dealstage", "presentationscheduled"))
    refused = HubSpotProvider(HubSpotClient(Settings(sandbox.url + "/hubspot", "wrong"), OpenGate()))
    sandbox.world.faults.clear()
    with pytest.raises(CredentialsRefused):
        fetch_one(refused, changed("dealstage", "presentationscheduled"))


@pytest.mark.parametrize(
    ("fault", "path", "good"),
    [
        ({"kind": "error", "status": 503}, "*/objects/contacts/batch/read", {"deal", "change", "account"}),
        ({"kind": "error", "status": 403}, "*/objects/companies/batch/read", {"deal", "change", "contact"}),
        ({"kind": "rate_limit", "retry_after": 3}, "*/objects/contacts/batch/read", {"deal", "change"}),
        ({"kind": "error", "status": 503}, "*/objects/tasks/batch/read", {"change", "account", "contact"}),
        ({"kind": "error", "status": 503}, "*/deals/contacts/batch/read", {"change", "account"}),
        ({"kind": "error", "status": 503}, "*/owners", {"change", "account", "contact"}),
    ],
)
def test_a_part_that_can_not_be_read_leaves_the_others_whole(sandbox, provider, fault, path, good):
    sandbox.world.faults.add({"vendor": "hubspot", "path": path} | fault)
    found = fetch_one(provider, changed("dealstage", "presentationscheduled"))
    kind = {503: Transient, 403: CredentialsRefused}.get(fault.get("status"), RateLimited)
    assert {name for name, part in found.items() if part.complete} == good
    for name in ALL - good:
        assert type(found[name].error) is kind
        assert (found[name].value, found[name].missing) == (None, kind.code)
    assert all(found[name].value and found[name].error is None for name in good)


def test_a_deal_that_can_not_be_chosen_keeps_no_contact_from_its_own_signal(sandbox, provider):
    sandbox.world.faults.add({"vendor": "hubspot", "kind": "error", "status": 503, "path": "*/contacts/deals/*"})
    found = fetch_one(provider, signal("contact.created", fired_at=STAGED, contact_id=CONTACT))
    assert found["contact"].value["email"] == "lee@acme.example"
    assert [type(found[name].error) for name in ("deal", "account")] == [Transient, Transient]


def test_one_slice_that_fails_costs_the_others_nothing(sandbox, provider):
    add(sandbox, *(deal(str(1000 + number)) for number in range(60)))
    fault = {"vendor": "hubspot", "kind": "error", "status": 403, "path": "*/deals/batch/read", "skip": 1, "count": 1}
    sandbox.world.faults.add(fault)
    signals = [signal("deal.created", fired_at=STAGED, deal_id=str(1000 + n), name=n) for n in range(60)]
    answers = provider.fetch(signals, {one.signal_id: frozenset({"deal"}) for one in signals})
    assert [answers[one.signal_id]["deal"].complete for one in signals] == [True] * 50 + [False] * 10


def test_no_further_call_waits_for_a_limit_that_one_has_met(sandbox, provider, gate):
    sandbox.world.faults.add({"vendor": "hubspot", "kind": "rate_limit", "skip": 1})
    found = fetch_one(provider, changed("dealstage", "presentationscheduled"))
    assert {type(part.error) for part in found.values()} == {RateLimited}
    # The pipelines, the deal that was refused, and the owners, who are asked for apart.
    assert gate.calls <= 3


@pytest.mark.parametrize("late", [2, 5, 9])
def test_work_that_is_no_longer_ours_is_given_up_as_a_whole(sandbox, late):
    class LateGate(OpenGate):
        """Refuses one call, the repeats within it included."""

        def spend(self, vendor, kind):
            super().spend(vendor, kind)
            if late <= self.calls < late + 3:
                raise LeaseOver("too late")

    provider = HubSpotProvider(HubSpotClient(Settings(sandbox.url + "/hubspot"), LateGate()), now=lambda: NOW)
    with pytest.raises(LeaseOver):
        fetch_one(provider, changed("dealstage", "presentationscheduled"))


def test_a_blip_is_survived(sandbox, provider):
    sandbox.world.faults.add({"vendor": "hubspot", "kind": "error", "status": 502, "count": 1})
    sandbox.world.faults.add({"vendor": "hubspot", "kind": "close", "count": 1, "path": "*/deals/batch/read"})
    assert fetch_one(provider, changed("dealstage", "presentationscheduled"))["deal"].value["id"] == DEAL


def test_building_opens_no_connection():
    built = build_provider(Settings("http://127.0.0.1:9"), OpenGate())
    assert (built.name, built.parts) == ("hubspot", ("deal", "change", "account", "contact"))


@pytest.mark.parametrize("portal_id", ["24681357", None])
def test_a_deal_s_page_is_named_if_the_account_is_known(sandbox, gate, portal_id):
    add(sandbox, {"type": "deal", "id": "198765432999", "properties": {"dealname": "Acme"}})
    settings = Settings(sandbox.url + "/hubspot", hubspot_portal_id=portal_id)
    provider = HubSpotProvider(HubSpotClient(settings, gate), now=lambda: NOW, portal_id=settings.hubspot_portal_id)
    part = fetch_one(provider, signal("deal.created", deal_id="198765432999", payload={}))["deal"]
    page = "https://app.hubspot.com/contacts/24681357/record/0-3/198765432999"
    assert part.value["url"] == (page if portal_id else None)
