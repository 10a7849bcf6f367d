"""Signals and their trails on the wire."""

from marshmallow import Schema, fields

from revpipe.models.signal import DISPOSITIONS, STATES
from revpipe.signals import URGENCIES
from revpipe.web.api.fields import Id, Moment, maybe, one_of, record, told, word
from revpipe.web.api.paging import Query, page_of


class SignalQuery(Query):
    """Filters of signals."""

    since = Moment(metadata={"description": "Received from then on."})
    until = Moment(metadata={"description": "Received before then."})
    source = word("From this source, as `hubspot`.")
    event = word("Of this event, as `deal.stage_changed`.")
    state = one_of(STATES, "In this state.")
    disposition = one_of(DISPOSITIONS, "Ended so.")
    priority = one_of(URGENCIES, "Of this priority.")
    deal_id = record("Of this deal, by the CRM's id.")
    account_id = record("Of this account, by the CRM's id.")
    correlation_id = Id(metadata={"description": "Of this correlation."})
    delivery_id = Id(metadata={"description": "From this delivery."})


class Signal(Schema):
    """One signal, without what it carries."""

    signal_id = told(Id, "Its id.")
    signal_type = told(fields.String, "crm_event, call_complete, intent or behavioral.")
    event = told(fields.String, "What happened, in revpipe's words.")
    source = told(fields.String, "Whence it came.")
    account_id = maybe(fields.String, "The CRM's id of the account.")
    deal_id = maybe(fields.String, "The CRM's id of the deal.")
    contact_id = maybe(fields.String, "The CRM's id of the contact.")
    urgency = told(fields.String, "How urgent it came.")
    priority = told(fields.String, "How urgent it is, once its context is known.")
    confidence = told(fields.Float, "How sure its source is, 0 to 1.")
    fired_at = told(Moment, "When it happened.")
    received_at = told(Moment, "When revpipe had it.")
    state = told(fields.String, "How far it is.")
    stage = maybe(fields.String, "What comes next, null where nothing does.")
    disposition = maybe(fields.String, "How it ended, null while it is in flight.")
    reason = maybe(fields.String, "Why it ended so.")
    done_at = maybe(Moment, "When it ended.")
    replays = told(fields.Integer, "How often it was sent back to be decided anew.")
    coalesced_into = maybe(Id, "The signal that carries it, where it was coalesced.")
    delivery_id = told(Id, "The delivery that brought it.")
    correlation_id = told(Id, "Leads from the request to the effect.")


class SignalWhole(Signal):
    """One signal with all that hangs on it."""

    payload = told(fields.Dict, "What it says, in revpipe's shape.")
    schema_version = told(fields.Integer, "The version of that shape.")
    expires_at = told(Moment, "Until when it waits for context.")
    context = maybe(fields.Dict, "What was known: part → provider, time and value. Null before it was enriched.")
    context_complete = maybe(fields.Boolean, "Whether all that was wanted was there.")
    plan_id = maybe(Id, "The decision on it.")
    action_ids = told(fields.List, "The actions planned for it.", cls_or_instance=Id())


class Step(Schema):
    """One thing that happened to a signal."""

    trail_id = told(Id, "Its id.")
    at = told(Moment, "When.")
    what = told(fields.String, "What, as one word.")
    action_id = maybe(Id, "To which of its actions.")
    correlation_id = maybe(Id, "In which correlation.")
    detail = told(fields.Dict, "Ids, codes and numbers.")


SignalPage = page_of(Signal, "SignalPage")
TrailPage = page_of(Step, "TrailPage")
