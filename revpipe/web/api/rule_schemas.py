"""Rules, their versions and simulations on the wire."""

from marshmallow import Schema, fields, validate

from revpipe.web.api.fields import Count, Moment, Text, maybe, told
from revpipe.web.api.paging import page_of

LONGEST_FILE = 200_000
MOST_SIGNALS = 5_000
LONGEST_DAYS = 31


class RuleAction(Schema):
    """One action that a rule wants."""

    type = told(fields.String, "What is to be done.")
    params = told(fields.Dict, "What it writes, before it is filled in.")
    priority = maybe(fields.String, "How urgent, where the rule says it.")
    approval = maybe(fields.String, "always or never, where the rule says it.")


class Rule(Schema):
    """One rule as it is in use."""

    id = told(fields.String, "Its id.")
    description = told(fields.String, "What it is for.")
    owner = told(fields.String, "Who answers for it.")
    mode = told(fields.String, "live, or shadow: it is asked and has no say.")
    on = told(fields.List, "The events that it listens to, as written.", cls_or_instance=fields.String())
    when = told(fields.String, "Its condition, in CEL.")
    then = told(fields.List, "What it wants.", cls_or_instance=fields.Nested(RuleAction))
    conclusive = told(fields.Boolean, "Whether nothing is left to decide where it fires.")
    cooldown_s = told(fields.Float, "For how many seconds it does not want the same again.")
    urgency = maybe(fields.String, "What it raises a signal to.")
    expires_s = maybe(fields.Float, "For how many seconds its actions are wanted.")


class RulesInUse(Schema):
    """The rules in use."""

    version = told(fields.String, "The hash of their file.")
    rules = told(fields.List, "In the order of their file.", cls_or_instance=fields.Nested(Rule))


class RuleVersion(Schema):
    """One version that once decided something."""

    version = told(fields.String, "The hash of its file.")
    first_seen_at = told(Moment, "When it decided first.")
    rules = told(fields.Dict, "Rule → mode.")


class RuleVersionWhole(Schema):
    """One version with its file."""

    version = told(fields.String, "The hash of its file.")
    first_seen_at = told(Moment, "When it decided first.")
    source = told(fields.String, "The file, in YAML.")


class Simulation(Schema):
    """What to try."""

    rules = Text(
        required=True,
        validate=validate.Length(1, LONGEST_FILE, error="Write {min} to {max} characters."),
        metadata={"description": "A whole rules file, in YAML, as config/rules.yaml."},
    )
    since = Moment(metadata={"description": f"Received from then on; at most {LONGEST_DAYS} days back."})
    until = Moment(metadata={"description": "Received before then; by default now."})
    most = Count(
        load_default=1_000,
        validate=validate.Range(1, MOST_SIGNALS, error="Write a number from {min} to {max}."),
        metadata={"description": "Of so many signals, the newest of the period."},
    )


class Simulated(Schema):
    """What the file would have decided."""

    rules_version = told(fields.String, "The hash of the file.")
    since = told(Moment, "From when on signals were judged.")
    until = told(Moment, "Before when.")
    cut = told(fields.Boolean, "Whether older signals of the period were left out: there were more than `most`.")
    signals = told(fields.Integer, "How many were judged.")
    left_out = told(fields.Dict, "How many were not, by why: no rule sees them.")
    unreadable = told(fields.Integer, "How many a newer release wrote.")
    decisions = told(fields.Dict, "Signals by how they were decided.")
    share = told(fields.Dict, "The shares that rules decide and leave to the LLM; null without signals.")
    totals = told(fields.Dict, "Actions, approvals, suppressed actions and LLM calls.")
    actions = told(fields.List, "By rule and type.", cls_or_instance=fields.Dict())
    nothing_due = told(fields.Dict, "By the rule that said so.")
    events = told(fields.Dict, "By event and how they were decided.")


RuleVersionPage = page_of(RuleVersion, "RuleVersionPage")
