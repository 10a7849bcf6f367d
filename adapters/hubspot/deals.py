"""Deals, in our words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from adapters.hubspot.answers import Record
from adapters.hubspot.owners import Owner
from adapters.hubspot.pipelines import Stage, Stages
from adapters.hubspot.values import flag, iso, number, text

T = TypeVar("T")
HISTORY: Final = ("dealstage", "closedate", "amount", "hubspot_owner_id")
CHOICE_PROPERTIES: Final = ("amount", "dealstage", "pipeline", "hs_is_closed", "hs_merged_object_ids")
"""Enough to choose among the deals of an account or contact."""
PROPERTIES: Final = (
    *CHOICE_PROPERTIES,
    "dealname",
    "deal_currency_code",
    "closedate",
    "createdate",
    "hubspot_owner_id",
    "hs_is_closed_won",
    "hs_deal_stage_probability",
    "hs_v2_date_entered_current_stage",
    "notes_last_updated",
    "notes_next_activity_date",
    "hs_next_step",
    "dealtype",
    "hs_priority",
    "hs_manual_forecast_category",
    "closed_lost_reason",
)
MAX_HISTORY: Final = 20


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else is known about a deal when it is described."""

    account_id: str | None = None
    contact_ids: Sequence[str] = ()
    open_tasks: Sequence[dict[str, Any]] = ()
    owner: Owner | None = None


def deal_value(deal: Record, around: Surroundings, stages: Stages) -> dict[str, Any]:
    """The part `deal`. Histories are newest first and hold at most 20 values."""
    told = deal.properties.get
    pipeline, stage = text(told("pipeline")), text(told("dealstage"))
    known = stages.get(stage_key(deal))
    return {
        "id": deal.id,
        "name": text(told("dealname")),
        "stage": stage,
        "stage_label": known.label if known else None,
        "stage_order": known.order if known else None,
        "pipeline": pipeline,
        "amount": number(told("amount")),
        "currency": text(told("deal_currency_code")),
        "close_date": iso(told("closedate")),
        "created_at": iso(told("createdate")),
        "owner_id": text(told("hubspot_owner_id")),
        "owner_email": around.owner.email if around.owner else None,
        "owner_name": around.owner.name if around.owner else None,
        "is_closed": _is_closed(deal, known),
        "is_won": _first(flag(told("hs_is_closed_won")), known.is_won if known else None),
        "entered_stage_at": _entered_stage_at(deal),
        "last_activity_at": iso(told("notes_last_updated")),
        "next_activity_at": iso(told("notes_next_activity_date")),
        "probability": _first(number(told("hs_deal_stage_probability")), known.probability if known else None),
        "next_step": text(told("hs_next_step")),
        "type": text(told("dealtype")),
        "priority": text(told("hs_priority")),
        "forecast_category": text(told("hs_manual_forecast_category")),
        "lost_reason": text(told("closed_lost_reason")),
        "account_id": around.account_id,
        "contact_ids": list(around.contact_ids),
        "stage_history": _stage_history(deal, stages),
        "close_date_history": _close_date_history(deal),
        "open_tasks": list(around.open_tasks),
    }


def best_open(deals: Iterable[Record], stages: Stages) -> Record | None:
    """The open deal with the largest amount, of several such the one with the smallest id."""
    still_open = [deal for deal in deals if not _is_closed(deal, stages.get(stage_key(deal)))]
    return min(still_open, key=_rank, default=None)


def stage_key(deal: Record) -> tuple[str, str]:
    """The ids of the deal's pipeline and stage."""
    return text(deal.properties.get("pipeline")) or "", text(deal.properties.get("dealstage")) or ""


def _is_closed(deal: Record, stage: Stage | None) -> bool | None:
    return _first(flag(deal.properties.get("hs_is_closed")), stage.is_closed if stage else None)


def _rank(deal: Record) -> tuple[float, int, str]:
    amount = number(deal.properties.get("amount"))
    return (-amount if amount is not None else float("inf"), len(deal.id), deal.id)


def _entered_stage_at(deal: Record) -> str | None:
    # hs_v2_time_in_current_stage would be the wrong one: it holds a date in spite of its name.
    entered = iso(deal.properties.get("hs_v2_date_entered_current_stage"))
    stages = deal.history.get("dealstage")
    return entered or (iso(stages[0].at) if stages else None) or iso(deal.properties.get("createdate"))


def _stage_history(deal: Record, stages: Stages) -> list[dict[str, Any]]:
    rows, pipeline = [], stage_key(deal)[0]
    for entry in deal.history.get("dealstage", ())[:MAX_HISTORY]:
        stage = stages.get((pipeline, entry.value or ""))
        rows.append({"stage": entry.value, "order": stage.order if stage else None, "at": iso(entry.at)})
    return rows


def _close_date_history(deal: Record) -> list[dict[str, Any]]:
    entries = deal.history.get("closedate", ())[:MAX_HISTORY]
    return [{"value": iso(entry.value), "at": iso(entry.at)} for entry in entries]


def _first(one: T | None, other: T | None) -> T | None:
    return other if one is None else one
