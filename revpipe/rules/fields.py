"""The words that rules may use: every field with its type, and every event by name."""

from typing import Final, NamedTuple


class Field(NamedTuple):
    """One field: its type, what it means, and an example for documentation and trial runs.

    Types: text, int, float, bool, time (ISO 8601 UTC text), texts (list of text), maps (list of records, whose `keys`
    all hold text).
    """

    type: str
    doc: str
    example: str = ""
    keys: tuple[str, ...] = ()


_ID = "1001"
_TIME = "2026-01-15T09:00:00+00:00"

ACTION_KEYS: Final = ("rule", "type")
CHANGE_KEYS: Final = ("event", "property", "old_value", "new_value", "fired_at", "object_type", "object_id")
RECORD_KEYS: Final = frozenset((*ACTION_KEYS, *CHANGE_KEYS))
"""What a record of any `maps` field may hold."""

SIGNAL: Final = {
    "id": Field("text", "our id of the signal", "0b7e1c52-8a64-8f30-9d11-5a1f3c0e7788"),
    "type": Field("text", "crm_event, call_complete or intent", "crm_event"),
    "event": Field("text", "what happened; see the table of events", "deal.stage_changed"),
    "source": Field("text", "who sent it: hubspot, gong, bombora", "hubspot"),
    "urgency": Field("text", "immediate, high, standard or low; the highest of all that it carries", "standard"),
    "confidence": Field("float", "how sure the source is, 0 to 1"),
    "fired_at": Field("time", "when it happened", _TIME),
    "received_at": Field("time", "when it reached us", _TIME),
    "age_hours": Field("int", "whole hours from fired_at to now, never negative"),
    "deal_id": Field("text", "the deal that the signal itself names", _ID),
    "account_id": Field("text", "the account that the signal itself names", _ID),
    "contact_id": Field("text", "the contact that the signal itself names", _ID),
    "object_type": Field("text", "deal, account, contact … or a CRM object type id", "deal"),
    "object_id": Field("text", "the CRM id of the object that changed", _ID),
    "property": Field("text", "the CRM property that changed", "dealstage"),
    "old_value": Field("text", "the property's value before, as the CRM's history tells", "60000"),
    "new_value": Field("text", "the property's value after", "45000"),
    "old_number": Field("float", "old_value where it is a number"),
    "new_number": Field("float", "new_value where it is a number"),
    "change_percent": Field("float", "new_number against old_number in per cent, negative when it shrank"),
    "stale": Field("bool", "true when the property has been set again since; false otherwise"),
    "changes": Field(
        "maps",
        f"what it carries, from old to new, itself included: records of text with {', '.join(CHANGE_KEYS)}",
        keys=CHANGE_KEYS,
    ),
    "association": Field("text", "the kind of link that changed, such as CONTACT_TO_DEAL", "CONTACT_TO_DEAL"),
    "from_id": Field("text", "one end of that link", _ID),
    "to_id": Field("text", "the other end of that link", _ID),
    "removed": Field("bool", "whether the link was taken away"),
    "change_source": Field("text", "what made the change at the CRM: CRM_UI, IMPORT …", "CRM_UI"),
    "call_id": Field("text", "the recorder's id of the call", _ID),
    "call_title": Field("text", "the call's title", "Weekly review"),
    "call_url": Field("text", "the call's page at the recorder", "https://app.gong.io/call?id=1001"),
    "duration_s": Field("float", "the call's length in seconds"),
    "is_private": Field("bool", "whether the call is marked private"),
    "competitors": Field("texts", "competitors named on this call; empty if none was", "Initech"),
    "said_by": Field("text", "who named them: external, internal, unknown", "external"),
    "trackers": Field("texts", "names of the trackers that were heard on this call", "Pricing"),
    "deals_on_call": Field("int", "how many deals the call is linked to"),
    "brief": Field("text", "the recorder's summary of the call", "They asked for a security review."),
    "next_steps": Field("texts", "next steps that the recorder heard", "Send the security papers"),
    "domain": Field("text", "the web domain of the company that researches", "hooli.example"),
    "topic": Field("text", "what it researches", "data pipelines"),
    "score": Field("int", "how strongly, against its usual: 0 to 100, a surge from 60 on"),
    "score_delta": Field("int", "the score's difference from the week before"),
    "is_new": Field("bool", "whether there was no score the week before"),
    "week": Field("time", "the Sunday that the week begins with", _TIME),
}

DEAL: Final = {
    "id": Field("text", "CRM id; from the signal if the deal could not be read", _ID),
    "name": Field("text", "the deal's name", "Hooli, 40 seats"),
    "stage": Field("text", "the stage's id", "contractsent"),
    "stage_label": Field("text", "the stage's name as people see it", "Contract sent"),
    "stage_order": Field("int", "the stage's place in its pipeline, from 0"),
    "pipeline": Field("text", "the pipeline's id", "default"),
    "amount": Field("float", "the deal's amount, in its currency"),
    "currency": Field("text", "ISO 4217 code", "EUR"),
    "close_date": Field("time", "when it is expected to close", _TIME),
    "created_at": Field("time", "when it was created", _TIME),
    "owner_id": Field("text", "the owner's CRM id", _ID),
    "owner_email": Field("text", "the owner's address", "rep@example.com"),
    "owner_name": Field("text", "the owner's name", "Robin Reyes"),
    "is_closed": Field("bool", "whether it is won or lost"),
    "is_won": Field("bool", "whether it is won"),
    "entered_stage_at": Field("time", "when it came into its stage", _TIME),
    "last_activity_at": Field("time", "the last logged activity", _TIME),
    "next_activity_at": Field("time", "the next planned activity", _TIME),
    "probability": Field("float", "the CRM's own odds, 0 to 1"),
    "next_step": Field("text", "the deal's next step, as the rep wrote it", "Call legal"),
    "type": Field("text", "the CRM's deal type, as `newbusiness` or `existingbusiness`", "newbusiness"),
    "priority": Field("text", "the CRM's priority of the deal: low, medium, high", "high"),
    "forecast_category": Field("text", "the forecast category that a person chose, as `COMMIT`", "COMMIT"),
    "lost_reason": Field("text", "why it was lost, as the rep wrote it", "No budget"),
    "account_id": Field("text", "its account", _ID),
    "contact_ids": Field("texts", "its contacts", _ID),
    "url": Field("text", "its page in the CRM", "https://app.hubspot.com/deal/1001"),
    "days_to_close": Field("int", "calendar days (UTC) to close_date: 0 today, negative when overdue"),
    "overdue": Field("bool", "whether close_date has passed and the deal is not closed"),
    "idle_days": Field("int", "whole days since last_activity_at"),
    "days_in_stage": Field("int", "whole days since entered_stage_at"),
    "days_since_created": Field("int", "whole days since created_at"),
    "close_date_pushes": Field("int", "how often close_date was moved to a later day"),
    "stage_moved_back": Field("bool", "whether this signal's stage change went to an earlier stage"),
    "open_task_subjects": Field("texts", "subjects of its open tasks; empty if there are none", "Call back"),
}

ACCOUNT: Final = {
    "id": Field("text", "CRM id; from the deal or the signal if the account could not be read", _ID),
    "name": Field("text", "the account's name", "Hooli"),
    "domain": Field("text", "its web domain", "hooli.example"),
    "industry": Field("text", "its industry", "SOFTWARE"),
    "employees": Field("int", "how many people work there"),
    "annual_revenue": Field("float", "yearly revenue, in its currency"),
    "country": Field("text", "its country", "France"),
    "is_target": Field("bool", "whether it is a target account"),
    "open_deals": Field("int", "how many open deals it has"),
    "owner_id": Field("text", "its owner's CRM id", _ID),
    "lifecycle_stage": Field("text", "the CRM's lifecycle stage, as `opportunity` or `customer`", "customer"),
}

CONTACT: Final = {
    "id": Field("text", "CRM id; from the signal if the contact could not be read", _ID),
    "email": Field("text", "the contact's address", "kim@hooli.example"),
    "first_name": Field("text", "first name", "Kim"),
    "last_name": Field("text", "last name", "Ode"),
    "name": Field("text", "full name", "Kim Ode"),
    "job_title": Field("text", "job title", "Head of IT"),
    "lifecycle_stage": Field("text", "the CRM's lifecycle stage", "opportunity"),
    "buying_roles": Field("texts", "roles in the purchase, upper case: CHAMPION, DECISION_MAKER …", "CHAMPION"),
    "account_id": Field("text", "the contact's account", _ID),
    "owner_id": Field("text", "the contact's owner's CRM id", _ID),
    "last_activity_at": Field("time", "the last logged activity with the contact", _TIME),
}

CALLS: Final = {
    "count": Field("int", "how many recent calls are known"),
    "last_at": Field("time", "when the last one started", _TIME),
    "last_title": Field("text", "its title", "Weekly review"),
    "last_url": Field("text", "its page at the recorder", "https://app.gong.io/call?id=1001"),
    "last_said_by": Field("text", "who named a competitor on it: external, internal, unknown", "external"),
    "days_since_last": Field("int", "whole days since the last call"),
    "competitors": Field("texts", "competitors named on any known call", "Initech"),
    "competitors_14d": Field("texts", "competitors named on calls of the last 14 days", "Initech"),
}

_LATER_INTENT: Final = "absent until a source sums up intent by account"
_LATER_WEB: Final = "absent until a source of website events is connected"

INTENT: Final = {
    "score": Field("int", f"the strongest score of the latest week over our topics, 0 to 100; {_LATER_INTENT}"),
    "score_before": Field("int", f"the same for the week before; {_LATER_INTENT}"),
    "score_delta": Field("int", f"score less score_before; {_LATER_INTENT}"),
    "mean_score": Field("float", f"the mean score of the latest week over our topics; {_LATER_INTENT}"),
    "topics": Field("texts", f"topics that surge in that week, strongest first; {_LATER_INTENT}", "data pipelines"),
    "new_topics": Field("texts", f"those of them that did not surge the week before; {_LATER_INTENT}", "data quality"),
    "topic_count": Field("int", f"how many topics surge in the latest week; {_LATER_INTENT}"),
    "surging_weeks": Field("int", f"for how many weeks in a row at least one topic has surged; {_LATER_INTENT}"),
    "week": Field("time", f"the day that the latest week begins with; {_LATER_INTENT}", _TIME),
}
"""What an account researches elsewhere, summed up over its topics. One topic's surge is a signal with own fields."""

BEHAVIOUR: Final = {
    "pages_7d": Field("int", f"pages read on our site in 7 days; {_LATER_WEB}"),
    "pages_30d": Field("int", f"pages read on our site in 30 days; {_LATER_WEB}"),
    "visits_7d": Field("int", f"visits to our site in 7 days; {_LATER_WEB}"),
    "pricing_visits_7d": Field("int", f"visits to the price page in 7 days; {_LATER_WEB}"),
    "people_7d": Field("int", f"different visitors of the account in 7 days; {_LATER_WEB}"),
    "forms_30d": Field("int", f"forms sent in 30 days; {_LATER_WEB}"),
    "events_7d": Field("texts", f"names of the events tracked in 7 days, each once; {_LATER_WEB}", "Demo Requested"),
    "paths_7d": Field("texts", f"paths of the pages read in 7 days, each once; {_LATER_WEB}", "/pricing"),
    "first_seen_at": Field("time", f"the first visit known; {_LATER_WEB}", _TIME),
    "last_seen_at": Field("time", f"the last visit; {_LATER_WEB}", _TIME),
    "last_path": Field("text", f"the page read last; {_LATER_WEB}", "/pricing"),
    "last_campaign": Field("text", f"the campaign that brought the last visit; {_LATER_WEB}", "spring-webinar"),
    "known_person": Field("bool", f"whether a visitor has told who they are; a claim, no proof; {_LATER_WEB}"),
}
"""What people of the account do on our own site. Robots, and visitors without consent, are not counted."""

HISTORY: Final = {
    "open_actions": Field(
        "maps", "actions of this subject not finished yet, each with rule and type", keys=ACTION_KEYS
    ),
    "open_rules": Field("texts", "the rules that planned those", "idle-near-close"),
    "open_types": Field("texts", "the types of those", "create_task"),
    "actions_30d": Field("int", "actions carried out for this subject in 30 days, or still open"),
    "rules_30d": Field("texts", "the rules that planned those", "idle-near-close"),
    "last_action_at": Field("time", "when the latest of those was planned", _TIME),
    "rejected_30d": Field("int", "actions for this subject that a person refused in 30 days"),
    "signals_7d": Field("int", "signals of this subject in 7 days"),
}

FIELDS: Final[dict[str, dict[str, Field]]] = {
    "signal": SIGNAL,
    "deal": DEAL,
    "account": ACCOUNT,
    "contact": CONTACT,
    "calls": CALLS,
    "intent": INTENT,
    "behaviour": BEHAVIOUR,
    "history": HISTORY,
    "now": {},
}
"""Root to field to its type and meaning. `now` has no fields: it is the time of the decision itself."""

_OBJECTS: Final = ("deal", "account", "contact", "ticket", "line_item", "product", "object")
_HAPPENINGS: Final = {
    "created": "was created",
    "deleted": "was deleted",
    "restored": "was restored",
    "merged": "was merged with another",
    "association_added": "was linked to another object",
    "association_removed": "lost a link to another object",
    "property_changed": "had a property changed that has no event of its own",
}

EVENTS: Final[dict[str, str]] = {
    **{f"{thing}.{word}": f"the {thing} {doc}" for thing in _OBJECTS for word, doc in _HAPPENINGS.items()},
    "deal.stage_changed": "a deal went to another stage",
    "deal.close_date_changed": "a deal's expected close date was set",
    "deal.amount_changed": "a deal's amount was set",
    "deal.owner_changed": "a deal was given to another owner",
    "contact.privacy_deleted": "a contact was deleted for privacy",
    "conversation.created": "a conversation began",
    "conversation.deleted": "a conversation was deleted",
    "conversation.privacy_deleted": "a conversation was deleted for privacy",
    "conversation.changed": "a conversation was assigned, closed or archived",
    "conversation.message": "a conversation has a new message",
    "call.completed": "a recorded call ended and was analysed",
    "intent.surge": "a company researches a topic far more than it usually does, in one week",
    "unknown": "anything that has no name here",
}
"""Every event that a rule may listen to."""
