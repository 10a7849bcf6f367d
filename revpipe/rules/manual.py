"""docs/rules.md: the manual of the rules, made from the tables that the code itself uses.

`python -m revpipe.rules.manual` writes it anew.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from revpipe import action_policy
from revpipe.rules import book as rules
from revpipe.rules.action_params import PARAMS, Param
from revpipe.rules.fields import EVENTS, FIELDS
from revpipe.rules.name_checks import FUNCTIONS, METHODS
from revpipe.rules.rule import Rule
from revpipe.rules.template_filters import FILTERS

_INTRO: Final = """# Rules

This page is made by `python -m revpipe.rules.manual`; change the code or `config/rules.yaml`, not the page.

A rule looks at one signal with its context and says what is to be done, or that nothing is. What no conclusive
rule settles is kept as decided by `fallback`: nothing is done beyond what the rules that fired want.

## A rule

| key | needed | meaning |
| --- | --- | --- |
| `id` | yes | its name in plans, trail and console: lower-case letters, digits, dashes |
| `description` | yes | one sentence that a rep understands; it stands in the list of rules below |
| `owner` | no | the team that looks after the rule |
| `on` | yes | the events it listens to; `*` stands for any text, as in `deal.*` |
| `when` | yes | the condition, see below; `true` for always |
| `then` | no | the actions: `type`, `params`, and if wanted `priority` and `approval`. Empty: nothing is due |
| `conclusive` | no | `true` (the default): if it fires, nothing needs deciding any more |
| `cooldown` | no | how long it stays quiet for the same subject: `30m`, `12h`, `7d`; default `1d` |

`priority` is immediate, high, standard or low; without it the action is as urgent as its signal. With
`approval: always` a person must agree even where `config/actions.yaml` does not ask for one; a rule can't take
away an approval that the file asks for.

The list `urgency` holds conditions that make a signal more urgent: the first that holds and is higher than the
present urgency wins.

A fault in the file stops the start, and every fault is told with its line.

## Conditions

Conditions are CEL, the Common Expression Language: `deal.idle_days > 10 && deal.days_to_close <= 21`.

**What is not known is neither true nor false.** A comparison with an absent value is *not known*, and a rule
fires only if its whole condition is true. `a || b` is true if one side is, whatever is not known about the
other; `!` of not known stays not known. To ask whether a value is there, write `deal.amount == null` or
`deal.amount != null`, by itself: `deal.next_step == null || deal.next_step.contains('legal')`.

The parts between `&&` are kept with their answer and the values they saw, as the explanation of each plan.

- Numbers compare freely; to calculate, give both the same kind: `deal.amount * 2.0 > 1000`.
- Times are ISO 8601 texts. To compare or subtract, write `timestamp(deal.close_date) < now`,
  `now - timestamp(deal.created_at) > duration('72h')`. Durations are in `h`, `m` and `s`.
- Lists: `'CHAMPION' in contact.buying_roles`, `size(calls.competitors) > 0`,
  `deal.open_task_subjects.exists(s, s.matches('(?i)price'))`.
- `a ? b : c`, `has()` and comments can't be used.
"""

_TEMPLATES: Final = """## Texts in params

`{{ deal.name }}` puts a fact into a text. An absent one leaves nothing; `{{ deal.name or 'the deal' }}` says what
then. `{% if deal.next_step %} … {% endif %}` and `{{ 'a' if deal.overdue else 'b' }}` choose. A param that is one
`{{ … }}` alone keeps the value's type, and is null if it is absent. Only fields, `or`, `and`, `not`, `if`, `==`,
`!=` and the filters below can be used. What a CRM or a call contains is inserted as it is and never run.

A param written on one line stays one line. An inserted value is cut at 1,000 characters, a whole param at 4,000.
"""

_THEN: Final = """## What may stand under `then`

```yaml
then:
  - type: create_task
    priority: high
    approval: always
    params:
      subject: "{{ deal.name or 'A deal' }}: call the buyer"
      due_in_days: 2
```

| key | needed | allowed values |
| --- | --- | --- |
| `type` | yes | `create_task`, `update_crm`, `send_alert`, `draft_followup` |
| `params` | yes | the params of that type, below; any other name is a fault |
| `priority` | no; as urgent as the signal | `immediate`, `high`, `standard`, `low`: which queue the action takes |
| `approval` | no; as `config/actions.yaml` says for the type | `always` (a person agrees first), `never` |

`priority` beside `type` is the action's urgency here; `priority` under `params` of a task is what HubSpot shows.
Every text may be a template. A param that is needed must not come out empty: the action would fail.
"""


def page(book: rules.RuleBook) -> str:
    """The whole manual for `book`, as Markdown."""
    functions = ", ".join(f"`{name}`" for name in dict.fromkeys((*FUNCTIONS, *METHODS)))
    filters = _table(("filter", "what it makes"), [(f"`{name}`", made.__doc__ or "") for name, made in FILTERS.items()])
    events = _table(("event", "when"), [(f"`{name}`", doc) for name, doc in EVENTS.items()])
    sections = (
        _INTRO + f"\nFunctions: {functions}.\n",
        _TEMPLATES + "\n" + filters,
        _actions(),
        "## The rules we ship\n\n" + _shipped(book.rules),
        "## Events\n\n" + events,
        "## Facts\n\n`now` is the time of the decision. Every other fact is a field:\n\n" + _fields(),
    )
    return "\n".join(sections)


def _fields() -> str:
    rows = [
        (f"`{root}.{name}`", field.type, field.doc) for root, fields in FIELDS.items() for name, field in fields.items()
    ]
    return _table(("field", "type", "meaning"), rows)


def _actions() -> str:
    parts = [_THEN]
    for kind, params in PARAMS.items():
        rows = [
            (f"`{name}`", param.type, _need(param), f"`{json.dumps(param.example)}`", param.allowed)
            for name, param in params.items()
        ]
        parts.append(f"### {kind}\n\n" + _table(("param", "type", "needed", "example", "allowed values"), rows))
    return "\n".join(parts)


def _need(param: Param) -> str:
    return "yes" if param.needed else f"no; {param.default}"


def _shipped(shipped: tuple[Rule, ...]) -> str:
    rows = [
        (
            f"`{rule.id}`",
            rule.description,
            ", ".join(f"`{name}`" for name in rule.on),
            ", ".join(f"`{action.type}`" for action in rule.then) or "nothing",
        )
        for rule in shipped
    ]
    return _table(("rule", "fires when", "listens to", "does"), rows)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def write(root: Path) -> Path:
    """Write docs/rules.md under the project's folder `root` and return its path."""
    policies = action_policy.load((root / "config/actions.yaml").read_text("utf-8"))
    book = rules.load((root / "config/rules.yaml").read_text("utf-8"), dict.fromkeys(policies))
    target = root / "docs/rules.md"
    target.write_text(page(book), "utf-8")
    return target


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2])
