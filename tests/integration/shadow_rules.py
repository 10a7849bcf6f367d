"""A book with rules in shadow beside one that is live."""

from typing import Final

from revpipe.rules import book as rules
from tests.integration.ledger_rules import TYPES

_TEXT: Final = """
rules:
  - id: live-task
    description: A competitor was named; a task.
    owner: tests
    on: [call.completed]
    when: size(signal.competitors) > 0
    conclusive: false
    cooldown: 1d
    then:
      - type: create_task
        params: {subject: a}
  - id: tried
    description: What we would rather do.
    owner: tests
    on: [call.completed]
    when: size(signal.competitors) > 0
    mode: MODE
    urgency: immediate
    cooldown: 1h
    then:
      - type: create_task
        params: {subject: "{{ deal.name }}"}
      - type: send_alert
        approval: always
        params: {title: t, text: b}
"""


def with_shadow(mode: str = "shadow") -> rules.RuleBook:
    """The book, its second rule in shadow or live."""
    return rules.load(_TEXT.replace("MODE", mode), TYPES)
