"""Which object types, properties and association types the simulated HubSpot account has."""

from typing import Final

# Object type ids (HubSpot docs, understanding the CRM) with their two spellings.
TYPES: Final[dict[str, tuple[str, str]]] = {
    "0-1": ("contact", "contacts"),
    "0-2": ("company", "companies"),
    "0-3": ("deal", "deals"),
    "0-5": ("ticket", "tickets"),
    "0-8": ("line_item", "line_items"),
    "0-27": ("task", "tasks"),
    "0-46": ("note", "notes"),
    "0-47": ("meeting", "meetings"),
    "0-48": ("call", "calls"),
    "0-49": ("email", "emails"),
}
_BY_WORD: Final = {word: type_id for type_id, words in TYPES.items() for word in (type_id, *words)}


def type_id(word: str) -> str | None:
    """The object type id for `deal`, `deals` or `0-3`; None if there is no such type."""
    return _BY_WORD.get(word.lower())


def singular(type_id: str) -> str:
    """`0-3` to `deal`."""
    return TYPES[type_id][0]


def _kinds(text: str) -> dict[str, str]:
    return {name: kind for kind, *names in (line.split() for line in text.strip().splitlines()) for name in names}


_EVERYWHERE: Final = _kinds("""
    text hs_object_id hs_object_source hs_object_source_id hs_merged_object_ids hubspot_owner_id
    datetime createdate hs_createdate hs_lastmodifieddate hubspot_owner_assigneddate
    datetime notes_last_updated notes_last_contacted notes_next_activity_date
""")
_ACTIVITY: Final = _kinds("datetime hs_timestamp\ntext hs_attachment_ids hs_body_preview")
PROPERTIES: Final[dict[str, dict[str, str]]] = {
    "0-1": _kinds("""
        text email firstname lastname jobtitle phone lifecyclestage associatedcompanyid hs_buying_role company
        text hs_sales_email_last_replied hs_last_sales_activity_type
        datetime lastmodifieddate hs_last_sales_activity_timestamp
        bool hs_sequences_is_enrolled hs_email_optout
    """),
    "0-2": _kinds("""
        text name domain industry country city web_technologies hs_parent_company_id lifecyclestage description
        number numberofemployees annualrevenue hs_num_open_deals num_associated_deals
        bool hs_is_target_account
        datetime hs_last_sales_activity_timestamp
    """),
    "0-3": _kinds("""
        text dealname dealstage pipeline deal_currency_code description dealtype hs_priority hs_next_step
        text closed_lost_reason closed_won_reason hs_manual_forecast_category hs_notes_next_activity_type
        number amount amount_in_home_currency hs_deal_stage_probability hs_number_of_overdue_tasks days_to_close
        number num_associated_contacts hs_forecast_amount hs_projected_amount
        bool hs_is_closed hs_is_closed_won hs_is_closed_lost hs_is_stalled
        datetime closedate hs_v2_date_entered_current_stage hs_latest_meeting_activity
        datetime hs_is_stalled_after_timestamp hs_sales_email_last_replied
    """),
    "0-5": _kinds("text subject content hs_pipeline hs_pipeline_stage hs_ticket_priority"),
    "0-8": _kinds("text name hs_sku hs_product_id\nnumber quantity price amount"),
    "0-27": _ACTIVITY
    | _kinds("text hs_task_subject hs_task_body hs_task_status hs_task_priority hs_task_type hs_task_reminders"),
    "0-46": _ACTIVITY | _kinds("text hs_note_body"),
    "0-47": _ACTIVITY
    | _kinds("text hs_meeting_title hs_meeting_body hs_meeting_outcome\ndatetime hs_meeting_end_time"),
    "0-48": _ACTIVITY | _kinds("text hs_call_title hs_call_body hs_call_direction\nnumber hs_call_duration"),
    "0-49": _ACTIVITY
    | _kinds("text hs_email_subject hs_email_text hs_email_html hs_email_direction hs_email_status hs_email_headers"),
}
for _names in PROPERTIES.values():
    _names.update(_EVERYWHERE)

ACTIVITIES: Final = ("0-27", "0-46", "0-47", "0-48", "0-49")
READ_ONLY: Final = frozenset(
    _kinds("""
        any hs_object_id hs_object_source hs_object_source_id hs_createdate hs_lastmodifieddate lastmodifieddate
        any hs_is_closed hs_is_closed_won hs_is_closed_lost hs_v2_date_entered_current_stage hs_body_preview
        any notes_last_updated notes_last_contacted hs_merged_object_ids num_associated_deals
    """)
)
OPTIONS: Final[dict[str, frozenset[str]]] = {
    "hs_task_status": frozenset({"NOT_STARTED", "COMPLETED", "WAITING", "IN_PROGRESS", "DEFERRED"}),
    "hs_task_priority": frozenset({"LOW", "MEDIUM", "HIGH", "NONE"}),
    "hs_task_type": frozenset({"EMAIL", "CALL", "TODO"}),
    "hs_email_direction": frozenset({"EMAIL", "INCOMING_EMAIL", "FORWARDED_EMAIL"}),
    "hs_email_status": frozenset({"BOUNCED", "FAILED", "SCHEDULED", "SENDING", "SENT"}),
    "hs_priority": frozenset({"low", "medium", "high"}),
}
DEFAULTS: Final[dict[str, tuple[str, ...]]] = {
    "0-1": ("firstname", "lastname", "email"),
    "0-2": ("name", "domain"),
    "0-3": ("dealname", "amount", "closedate", "pipeline", "dealstage"),
}
"""What an answer holds when no property was asked for, besides the ones that always come."""


def created_property(type_id: str) -> str:
    """Activities spell their creation time with a prefix."""
    return "hs_createdate" if type_id in ACTIVITIES else "createdate"


def modified_property(type_id: str) -> str:
    """Contacts spell their modification time without the prefix."""
    return "lastmodifieddate" if type_id == "0-1" else "hs_lastmodifieddate"


# (from, to): default type id, and the primary one where there is one (HubSpot docs, associations v4).
LINKS: Final[dict[tuple[str, str], tuple[int, ...]]] = {
    ("deal", "contact"): (3,),
    ("contact", "deal"): (4,),
    ("deal", "company"): (341, 5),
    ("company", "deal"): (342, 6),
    ("contact", "company"): (279, 1),
    ("company", "contact"): (280, 2),
    ("task", "contact"): (204,),
    ("contact", "task"): (203,),
    ("task", "company"): (192,),
    ("company", "task"): (191,),
    ("task", "deal"): (216,),
    ("deal", "task"): (215,),
    ("note", "contact"): (202,),
    ("contact", "note"): (201,),
    ("note", "company"): (190,),
    ("company", "note"): (189,),
    ("note", "deal"): (214,),
    ("deal", "note"): (213,),
    ("email", "contact"): (198,),
    ("contact", "email"): (197,),
    ("email", "company"): (186,),
    ("company", "email"): (185,),
    ("email", "deal"): (210,),
    ("deal", "email"): (209,),
    ("meeting", "deal"): (212,),
    ("deal", "meeting"): (211,),
    ("call", "deal"): (206,),
    ("deal", "call"): (205,),
    ("line_item", "deal"): (20,),
    ("deal", "line_item"): (19,),
    ("deal", "ticket"): (27,),
    ("ticket", "deal"): (28,),
}


def link_types(from_type: str, to_type: str) -> tuple[int, ...]:
    """The association type ids from one object type id to another, the default first."""
    return LINKS.get((singular(from_type), singular(to_type)), ())


def link_target(from_type: str, link_type: int) -> str | None:
    """The object type that an association type leads to; None if it does not start at `from_type`."""
    for (start, end), ids in LINKS.items():
        if start == singular(from_type) and link_type in ids:
            return type_id(end)
    return None
