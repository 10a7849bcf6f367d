"""The demo: three deals over a fortnight, and the noise that any CRM makes around them."""

from dataclasses import replace
from datetime import datetime

from adapters.sandbox.scenarios import competitor_call
from adapters.sandbox.scenarios.people import ACME, GLOBEX, INITECH, seed
from adapters.sandbox.scenarios.story import APP_ID, DANA, SAM, Json, Story, Teller


def story(now: datetime) -> Story:
    """The story as it ends at `now`, an aware time."""
    teller = Teller(now)
    _globex_slips(teller)
    _noise_of_people(teller)
    _noise_of_machines(teller)
    _acme_hears_of_a_rival(teller)
    _initech_loses_its_champion(teller)
    return Story(seed(teller), tuple(sorted(teller.steps, key=lambda step: step.at)))


def _acme_hears_of_a_rival(teller: Teller) -> None:
    call = competitor_call.call(teller, 0.4)
    change = {"call": call, "transcript": competitor_call.transcript()}
    teller.tell(
        0.4,
        "gong",
        "Acme's buyer mentions Northwind on the renewal call",
        {"callData": call, "isTest": False},
        (("POST", "gong/calls", change),),
        "48,000 due in 9 days, a rival on the call, no competitive task open: task, alert, drafted follow-up",
    )


def _globex_slips(teller: Teller) -> None:
    deal = GLOBEX["deal"]
    teller.edit(13.0, "deal", deal, "Sam moves Globex's close date out", {"closedate": teller.midnight(-18)}, user=SAM)
    teller.edit(
        6.0,
        "deal",
        deal,
        "Sam moves Globex's close date out again",
        {"closedate": teller.midnight(-46)},
        "pushed for the second time",
        user=SAM,
    )
    teller.edit(
        2.2,
        "deal",
        deal,
        "Sam moves Globex back from contract sent to qualified",
        {"dealstage": "qualifiedtobuy"},
        "the stage went backwards",
        user=SAM,
    )


def _initech_loses_its_champion(teller: Teller) -> None:
    deal, contact, at = INITECH["deal"], INITECH["champion"], 0.2
    ends = {"fromObjectId": int(deal), "toObjectId": int(contact), "associationRemoved": True}
    back = {"fromObjectId": int(contact), "toObjectId": int(deal), "associationRemoved": True}
    first = teller.event(at, "deal.associationChange", associationType="DEAL_TO_CONTACT", **ends)
    second = teller.event(at, "contact.associationChange", associationType="CONTACT_TO_DEAL", **back)
    change = {
        "from": {"type": "deal", "id": deal},
        "to": {"type": "contact", "id": contact},
        "removed": True,
        "userId": DANA,
        "occurredAt": first["occurredAt"],
        "send": False,
    }
    teller.tell(
        at,
        "hubspot",
        "Priya Nair, champion of the Initech pilot, is taken off the deal",
        [first, second],
        (("POST", "hubspot/associations", change),),
        "a deal in a late stage without its champion",
    )


def _noise_of_people(teller: Teller) -> None:
    nothing = "nobody's business: nothing is due"
    teller.edit(
        11.0, "deal", INITECH["deal"], "Dana tidies a description", {"description": "Pilot with 40 seats"}, nothing
    )
    teller.edit(9.5, "contact", GLOBEX["buyer"], "Noor's phone number is added", {"phone": "+49 30 5550100"}, nothing)
    teller.edit(5.0, "company", INITECH["company"], "Initech's size is corrected", {"numberofemployees": "97"}, nothing)
    last = teller.steps[-1]
    again = [event | {"attemptNumber": 1} for event in last.body]
    teller.steps.append(
        replace(last, title="HubSpot sends the last delivery once more", body=again, changes=(), note="a duplicate")
    )


def _noise_of_machines(teller: Teller) -> None:
    echo = teller.event(
        4.0,
        "deal.propertyChange",
        objectId=int(ACME["deal"]),
        propertyName="hs_next_step",
        propertyValue="Call Lee about the order form",
        changeSource="INTEGRATION",
        sourceId=str(APP_ID),
    )
    ours: Json = {"properties": {"hs_next_step": echo["propertyValue"]}, "sourceType": "INTEGRATION"}
    ours |= {"sourceId": str(APP_ID), "occurredAt": echo["occurredAt"], "send": False}
    changes = (("PATCH", f"hubspot/objects/deal/{ACME['deal']}", ours),)
    teller.tell(4.0, "hubspot", "HubSpot reports a write of our own", [echo], changes, "own write: suppressed")
    strange = teller.event(3.5, "deal.forecastRevision", objectId=int(GLOBEX["deal"]), changeFlag="REVISED")
    teller.tell(3.5, "hubspot", "An event of a type nobody knows", [strange], (), "unknown: kept and suppressed")
    _batch_with_a_bad_event(teller, 3.0)


def _batch_with_a_bad_event(teller: Teller, days: float) -> None:
    initech = {"properties": {"hs_next_step": "Agree the pilot's goals"}, "userId": DANA, "send": False}
    good = teller.event(
        days,
        "deal.propertyChange",
        objectId=int(INITECH["deal"]),
        propertyName="hs_next_step",
        propertyValue="Agree the pilot's goals",
    )
    bad = teller.event(days, "deal.propertyChange", objectId=int(INITECH["deal"]), propertyName="amount")
    bad |= {"occurredAt": "the day before", "propertyValue": "12000"}
    other = teller.event(
        days, "contact.propertyChange", objectId=int(ACME["buyer"]), propertyName="jobtitle", propertyValue="COO"
    )
    lee = {"properties": {"jobtitle": "COO"}, "userId": DANA, "send": False}
    changes = (
        ("PATCH", f"hubspot/objects/deal/{INITECH['deal']}", initech | {"occurredAt": good["occurredAt"]}),
        ("PATCH", f"hubspot/objects/contact/{ACME['buyer']}", lee | {"occurredAt": other["occurredAt"]}),
    )
    note = "two signals and one dead letter"
    teller.tell(days, "hubspot", "One broken event inside a good batch", [good, bad, other], changes, note)
