"""Rules for tests of the ledger, so that these don't hang on what config/rules.yaml says today."""

from typing import Final

from revpipe.rules import book as rules

TYPES: Final = dict.fromkeys(("create_task", "send_alert", "update_crm", "draft_followup"))

BOOK: Final = """
urgency:
  - id: big-deal
    description: Anything that happens at a big open deal.
    when: deal.is_closed == false && deal.amount >= 50000
    urgency: high

rules:
  - id: rival
    description: A competitor was named; a task at the CRM and an alert go out at once.
    owner: tests
    on: [call.completed]
    when: size(signal.competitors) > 0
    cooldown: 7d
    then:
      - type: create_task
        params: {subject: "Answer {{ signal.competitors | first }}", deal_id: "{{ deal.id }}"}
      - type: send_alert
        params: {channel: null, title: "{{ deal.name }}", text: "{{ signal.competitors | words }}"}

  - id: ask-first
    description: A stage change, of which a person must approve both the update and the draft.
    owner: tests
    on: [deal.stage_changed]
    when: true
    cooldown: 1d
    then:
      - type: update_crm
        params: {object: deal, id: "{{ deal.id }}", properties: {hs_next_step: "call"}}
      - type: draft_followup
        params: {to: "{{ contact.email }}", subject: a, body: b}

  - id: quiet-call
    description: A call on which nobody was named needs nothing.
    owner: tests
    on: [call.completed]
    when: size(signal.competitors) == 0
"""


def one_rule(then: str, cooldown: str = "1h", when: str = "size(signal.competitors) > 0") -> rules.RuleBook:
    """A book of one rule, `only`, for calls."""
    return rules.load(
        "rules:\n"
        "  - id: only\n"
        "    description: The only rule of this test.\n"
        "    owner: tests\n"
        "    on: [call.completed]\n"
        f"    when: {when}\n"
        f"    cooldown: {cooldown}\n"
        f"{then}",
        TYPES,
    )


ALERT: Final = "    then:\n      - type: send_alert\n        params: {channel: null, title: a, text: b}\n"
