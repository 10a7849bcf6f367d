"""docs/rules.md and docs/rules.schema.json: the manual of the rules, made from the tables that the code itself uses.

`python -m revpipe.rules.manual` writes both anew.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from revpipe import action_policy_file
from revpipe.rules import book as rules
from revpipe.rules import json_schema
from revpipe.rules.action_params import PARAMS, Param
from revpipe.rules.fields import EVENTS, FIELDS
from revpipe.rules.helpers import HELPERS
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
| `cooldown` | no | how long it stays quiet for the same subject: `30m`, `12h`, `7d`; default `1d`, at most `366d` |
| `urgency` | no | immediate, high, standard, low: if it fires, its actions and its signal are at least so urgent |
| `expires` | no | how long its actions may wait until they are no longer wanted, as in `2h`; at most `30d`; see below |
| `mode` | no | `live` (the default), or `shadow`: asked on every signal, recorded, without effect; see below |
| `tests` | no | facts and what the rule must want on them; see below |

`priority` is immediate, high, standard or low; without it the action is as urgent as its signal. With
`approval: always` a person must agree even where `config/actions.yaml` does not ask for one; a rule can't take
away an approval that the file asks for.

The list `urgency` holds conditions that make a signal more urgent: the first that holds and is higher than the
present urgency wins.

With `expires: 2h` a rule says that its actions help only so long. The time runs from the decision, or from a replay.
A person has until then to agree, or as long as `config/actions.yaml` gives, whichever is shorter. An action that
still waits for its vendor or in a queue when the time is up is not begun: it ends as `expired`, reason
`no_longer_wanted`, and is no dead letter. One that may have had its effect is looked up first. Without `expires` an
action waits for a vendor a day at most and then is a dead letter.

Of equal actions (same rule, subject and type) one at a time is open. Those that come while it is, or within the
rule's cooldown after it was planned, are kept as `suppressed` with the reason and the action that won. So of several
actions of one type in a rule only the first is carried out, and a test expects no more. Where two rules want the very
same of one signal (type, params and terms), the first in the file wins, reason `same_as_other_rule`, at the higher
priority of both.

A fault in the file stops the start, and every fault is told with its line. `revpipe rules check` tells the same
before a deploy, and runs the tests of the rules.

Editors that know JSON Schema complete and check the file as it is typed: its first line names
`docs/rules.schema.json`. What only the whole can tell (conditions, templates, params) remains for `rules check`.

## A rule in shadow

`mode: shadow` tries a rule on live signals before it may act. It is asked like any other, and what it would have done
is recorded; it plans nothing, settles nothing, raises no urgency and stands in no other rule's way. Its cooldown
counts its own outcomes, each taken as carried out at once, so that its numbers are those it would have had live.

`revpipe rules shadow --since 7d` tells for each rule in shadow how often it fired, what it would have planned, what
its cooldown would have held back, how many approvals it would have asked for, how many signals only it would have
settled, and which live rules planned a like action for the same subject within a day. `revpipe trace` shows its terms.

## Tests beside a rule

```yaml
tests:
  - name: a deal that closes today and was touched eleven days ago
    given:
      now: 2026-03-02T09:00:00Z
      signal: {event: deal.stage_changed}
      deal: {is_closed: false, idle_days: 11, days_to_close: 0, name: Acme}
    expect:
      - draft_followup
      - type: create_task
        priority: immediate
        params: {subject: "Acme: get in touch, quiet for 11 days"}
  - name: it was touched ten days ago
    given:
      deal: {is_closed: false, idle_days: 10, days_to_close: 0}
    expect: none
```

`given` holds facts as rules see them (the table at the end); what is not given is absent, but for `history`, which is
empty, and `signal.stale`, which is false. `now` is 2026-01-20 12:00 UTC if left out, and `signal.event` the first
event that the rule listens to. `expect` is `none` (it does not fire), `nothing_due` (it fires and wants no action), or
the types of all its actions, in any order; of `params`, `priority` and `approval` only what is written is compared.
A rule is tested by itself, whatever its mode: cooldowns and other rules have no part in it.

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
  `deal.open_task_subjects.exists(s, s.startsWith('Call'))`.
- Times and sets have helpers of their own, below. They too are *not known* if a value in them is absent or no time:
  `days_since(deal.created_at) > 30` and `!within(deal.last_activity_at, '7d')` are false as long as nobody knows.
  An empty list is known: `any_of(signal.competitors, ['Initech'])` is false for it.
- `matches` reads its pattern anew each time, about 0.1 ms; for plain words `mentions` does the same in a fraction.
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
    helpers = _table(("helper", "what it tells"), [_helper(made) for made in HELPERS.values()])
    filters = _table(("filter", "what it makes"), [(f"`{name}`", made.__doc__ or "") for name, made in FILTERS.items()])
    events = _table(("event", "when"), [(f"`{name}`", doc) for name, doc in EVENTS.items()])
    sections = (
        _INTRO + f"\nFunctions: {functions}.\n\n" + helpers,
        _TEMPLATES + "\n" + filters,
        _actions(),
        "## The rules we ship\n\n" + _shipped(book.rules),
        "## Events\n\n" + events,
        "## Facts\n\n`now` is the time of the decision. Every other fact is a field:\n\n" + _fields(),
    )
    return "\n".join(sections)


def _helper(made: Callable[..., Any]) -> tuple[str, str]:
    call, _, meaning = (made.__doc__ or "").partition(": ")
    return call, meaning


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
    """Write docs/rules.md and its schema under the project's folder `root`; returns the page's path."""
    policies = action_policy_file.load((root / "config/actions.yaml").read_text("utf-8"))
    book = rules.load((root / "config/rules.yaml").read_text("utf-8"), dict.fromkeys(policies))
    target = root / "docs/rules.md"
    target.write_text(page(book), "utf-8")
    (root / "docs/rules.schema.json").write_text(json_schema.text(tuple(policies)), "utf-8")
    return target


if __name__ == "__main__":
    write(Path(__file__).resolve().parents[2])
