"""Who is in the demo's CRM: three accounts with a deal each, and the people on both sides."""

from typing import Any, Final

from adapters.sandbox import hubspot_account
from adapters.sandbox.scenarios.story import DANA, SAM, Json, Teller

ACME: Final = {"deal": "198765432101", "company": "300000000001", "buyer": "223344556677"}
GLOBEX: Final = {"deal": "198765432102", "company": "300000000002", "buyer": "223344556688"}
INITECH: Final = {"deal": "198765432103", "company": "300000000003", "champion": "223344556699"}
INITECH_SECOND: Final = "223344556700"
_OWNERS: Final = {DANA: "71234567", SAM: "71234568"}


def seed(teller: Teller) -> Json:
    """The records of all three accounts, as they were a fortnight ago."""
    return {
        "hubspot": {
            "owners": [
                hubspot_account.owner("71234567", DANA, "dana@revpipe.example", "Dana", "Reyes"),
                hubspot_account.owner("71234568", SAM, "sam@revpipe.example", "Sam", "Okafor"),
            ],
            "objects": [*_companies(), *_contacts(), _acme(teller), _globex(teller), _initech(teller)],
        }
    }


def _companies() -> list[Json]:
    facts = (
        (ACME["company"], "Acme Corporation", "acme.example", "MACHINERY", "2400"),
        (GLOBEX["company"], "Globex", "globex.example", "COMPUTER_SOFTWARE", "310"),
        (INITECH["company"], "Initech", "initech.example", "FINANCIAL_SERVICES", "95"),
    )
    return [
        {
            "type": "company",
            "id": id,
            "properties": {"name": name, "domain": domain, "industry": industry, "numberofemployees": size},
        }
        for id, name, domain, industry, size in facts
    ]


def _contacts() -> list[Json]:
    return [
        _contact(ACME["buyer"], "Lee", "Marsh", "lee@acme.example", "VP Operations", "DECISION_MAKER", ACME),
        _contact(GLOBEX["buyer"], "Noor", "Haddad", "noor@globex.example", "Head of IT", "BUDGET_HOLDER", GLOBEX),
        _contact(INITECH["champion"], "Priya", "Nair", "priya@initech.example", "Ops lead", "CHAMPION", INITECH),
        _contact(INITECH_SECOND, "Tom", "Beck", "tom@initech.example", "Analyst", "END_USER", INITECH),
    ]


def _contact(id: str, first: str, last: str, email: str, job: str, role: str, account: dict[str, str]) -> Json:
    return {
        "type": "contact",
        "id": id,
        "properties": {
            "firstname": first,
            "lastname": last,
            "email": email,
            "jobtitle": job,
            "hs_buying_role": role,
        },
        "associations": [{"type": "company", "id": account["company"], "primary": True}],
    }


def _acme(teller: Teller) -> Json:
    return _deal(
        ACME,
        ["buyer"],
        {
            "dealname": "Acme, platform renewal",
            "amount": "48000",
            "closedate": teller.midnight(-9),
            "hs_next_step": "Send the renewal order form",
            "notes_last_updated": teller.when(12),
        },
        created=teller.when(140),
        stages=[("qualifiedtobuy", teller.when(140)), ("presentationscheduled", teller.when(20))],
        owner=DANA,
    )


def _globex(teller: Teller) -> Json:
    return _deal(
        GLOBEX,
        ["buyer"],
        {
            "dealname": "Globex, new seats",
            "amount": "26500",
            "closedate": teller.midnight(-4),
            "notes_last_updated": teller.when(14.2),
        },
        created=teller.when(75),
        stages=[("qualifiedtobuy", teller.when(75)), ("contractsent", teller.when(16))],
        owner=SAM,
    )


def _initech(teller: Teller) -> Json:
    deal = _deal(
        INITECH,
        ["champion"],
        {
            "dealname": "Initech, pilot",
            "amount": "12000",
            "closedate": teller.midnight(-30),
            "notes_last_updated": teller.when(3),
        },
        created=teller.when(40),
        stages=[("appointmentscheduled", teller.when(40)), ("decisionmakerboughtin", teller.when(8))],
        owner=DANA,
    )
    deal["associations"].append({"type": "contact", "id": INITECH_SECOND})
    return deal


def _deal(
    ids: dict[str, str],
    people: list[str],
    values: dict[str, str],
    *,
    created: str,
    stages: list[tuple[str, str]],
    owner: int,
) -> Json:
    contacts: list[dict[str, Any]] = [{"type": "contact", "id": ids[who]} for who in people]
    stage, since = stages[-1]
    values = values | {"pipeline": "default", "dealstage": stage, "hubspot_owner_id": _OWNERS[owner]}
    return {
        "type": "deal",
        "id": ids["deal"],
        "createdAt": created,
        "userId": owner,
        "properties": values | {"deal_currency_code": "EUR", "hs_v2_date_entered_current_stage": since},
        "history": {"dealstage": [{"value": value, "timestamp": at, "userId": owner} for value, at in stages]},
        "associations": [*contacts, {"type": "company", "id": ids["company"], "primary": True}],
    }
