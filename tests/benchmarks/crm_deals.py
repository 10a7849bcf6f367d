"""The benchmark's CRM: every deal follows from its id alone, so that none has to be stored or seeded."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

Json = dict[str, Any]
QUIET, OVERDUE, URGENT = 0, 1, 2
"""The last digit of a deal's id: no rule wants anything; one task is due; one task is due at once.

By the shipped rules: an overdue deal gets `overdue-close-date`; one that nobody touched for a fortnight and that closes
soon is raised to immediate and gets `idle-near-close`, a task beside a draft.
"""
_FIRST: Final = 50_000_000_000
_FIRST_COMPANY: Final = 30_000_000_000
_FIRST_CONTACT: Final = 20_000_000_000
DEALS_OF_A_COMPANY: Final = 10
OWNER: Final = "71234567"
STAGES: Final = ("appointmentscheduled", "qualifiedtobuy", "presentationscheduled", "closedwon", "closedlost")


def deal_id(serial: int, kind: int) -> int:
    """The id of the deal with that number and kind."""
    return _FIRST + serial * 10 + kind


def company_id(serial: int) -> int:
    """The id of the company with that number."""
    return _FIRST_COMPANY + serial


def company_at(domain: str) -> str:
    """The id of the company with that web domain."""
    return domain[1:].partition(".")[0]


def links(object_id: str, to_type: str) -> list[tuple[int, Json]]:
    """What a deal is tied to: one company, shared by ten deals, and one contact of its own."""
    serial = (int(object_id) - _FIRST) // 10
    if to_type == "companies":
        return [(company_id(serial // DEALS_OF_A_COMPANY), _type(341, None)), *_primary(serial)]
    return [(_FIRST_CONTACT + serial, _type(3, None))] if to_type == "contacts" else []


def properties(object_type: str, object_id: str, asked: Sequence[str]) -> Json:
    """The values of a record, those that were asked for; unknown ones are null, as HubSpot has them."""
    known = {"deals": _deal, "companies": _company, "contacts": _contact}[object_type](int(object_id))
    always = {"hs_object_id": object_id, "createdate": _ago(40), "hs_lastmodifieddate": _ago(1)}
    return {**always, **{name: known.get(name) for name in asked if name not in always}}


def history(object_type: str, object_id: str, asked: Sequence[str]) -> Json:
    """One former value of each property asked for: none is newer than the event, so no signal is stale."""
    values = properties(object_type, object_id, asked)
    return {name: [{"value": values.get(name) or "", "timestamp": _ago(30), "sourceType": "CRM_UI"}] for name in asked}


def owners() -> list[Json]:
    """Who deals belong to."""
    return [{"id": OWNER, "email": "vera@seller.example", "firstName": "Vera", "lastName": "Ruiz", "userId": 11223344}]


def pipelines() -> list[Json]:
    """The one pipeline."""
    stages = []
    for order, name in enumerate(STAGES):
        closed = name.startswith("closed")
        odds = {"closedwon": "1.0", "closedlost": "0.0"}.get(name, "0.4")
        facts = {"isClosed": "true" if closed else "false", "probability": odds}
        stages.append({"id": name, "label": name, "displayOrder": order, "archived": False, "metadata": facts})
    return [{"id": "default", "label": "Sales", "displayOrder": 0, "archived": False, "stages": stages}]


def _deal(number: int) -> Json:
    kind = number % 10
    closes = {QUIET: 60, OVERDUE: -6, URGENT: 5}[kind]
    return {
        "dealname": f"Deal {number}",
        "pipeline": "default",
        "dealstage": "presentationscheduled",
        "amount": "12000",
        "deal_currency_code": "EUR",
        "closedate": _day(closes),
        "hubspot_owner_id": OWNER,
        "hs_is_closed": "false",
        "hs_is_closed_won": "false",
        "hs_deal_stage_probability": "0.4",
        "notes_last_updated": _ago(15 if kind == URGENT else 1),
    }


def _company(number: int) -> Json:
    return {
        "name": f"Company {number}",
        "domain": f"c{number}.example",
        "industry": "MACHINERY",
        "country": "Germany",
        "hs_num_open_deals": "1",
        "hubspot_owner_id": OWNER,
    }


def _contact(number: int) -> Json:
    return {"firstname": "Lee", "lastname": f"Marsh {number}", "email": f"lee{number}@buyer.example", "jobtitle": "COO"}


def _primary(serial: int) -> list[tuple[int, Json]]:
    return [(company_id(serial // DEALS_OF_A_COMPANY), _type(5, "Primary"))]


def _type(number: int, label: str | None) -> Json:
    return {"category": "HUBSPOT_DEFINED", "typeId": number, "label": label}


def _ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:00.000Z")


def _day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(days=ahead)).strftime("%Y-%m-%dT00:00:00Z")
