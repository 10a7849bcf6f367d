"""Why a rule did not fire on a signal of the ledger: judged by the rules and on the facts of its decision."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import cases, contexts, schemas
from revpipe.cases import Case
from revpipe.db import sql
from revpipe.errors import Misconfigured, Permanent
from revpipe.rules import book as rule_file
from revpipe.rules import vocabulary
from revpipe.rules import why_not as judging
from revpipe.rules.explanation import clipped
from revpipe.rules.rule import Rule
from revpipe.rules.why_not import WhyNot
from revpipe.services import Services

_DECIDED: Final = (
    "SELECT s.*, c.parts, c.schema_version AS context_version, p.why, p.rules_version, p.created_at AS decided_at"
    " FROM signals AS s LEFT JOIN contexts AS c USING (signal_id) LEFT JOIN plans AS p USING (signal_id)"
    " WHERE s.signal_id = :id"
)


def of_signal(services: Services, tx: Connection, signal_id: uuid.UUID, rule_id: str) -> WhyNot:
    """The smallest change that would have made the rule fire on this signal.

    Raises Permanent where there is no such signal or rule, where nothing was decided yet, or where the rule did fire.
    """
    found = tx.execute(sql(_DECIDED), {"id": signal_id}).mappings().first()
    if found is None:
        raise Permanent(f"the ledger has no signal {signal_id}")
    row = dict(found)
    if row["why"] is None:
        raise Permanent(f"signal {signal_id} was not decided by rules, or is not decided yet")
    rule = _rule(services, tx, row["rules_version"], rule_id)
    told = next((one for one in _told(row["why"]) if one["rule"] == rule_id), None)
    if told is not None and told["fired"]:
        raise Permanent(f"rule {rule_id} did fire on signal {signal_id}")
    return judging.why_not(rule.id, rule.when, rule.terms, rule.events, _facts(tx, row, rule, told or {}))


def _told(why: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from why.get("rules", ())
    yield from why.get("shadow", ())


def _rule(services: Services, tx: Connection, version: str, rule_id: str) -> Rule:
    """The rule as it was when the signal was decided."""
    rules = services.rules
    if rules.version != version:
        source = tx.execute(sql("SELECT source FROM rule_versions WHERE version = :version"), {"version": version})
        try:
            rules = rule_file.load(source.scalar_one(), dict.fromkeys(services.policy), f"version {version}")
        except Misconfigured as error:
            raise Permanent(f"this release can't read the rules of version {version}: {error}") from error
    found = next((rule for rule in rules.rules if rule.id == rule_id), None)
    if found is None:
        raise Permanent(f"version {version} of the rules, which decided, has no rule {rule_id}")
    return found


def _facts(tx: Connection, row: Mapping[str, Any], rule: Rule, told: Mapping[str, Any]) -> dict[str, Any]:
    """What the rule saw: made again from what is stored, and where the explanation knows better, as it says.

    What else was under way for the deal is known from the explanation alone.
    """
    signal = schemas.stored_signal(row)
    parts = contexts.load(row["parts"], row["context_version"]) if row["parts"] else {}
    carried = cases.carried(tx, [signal.signal_id]).get(signal.signal_id, ())
    case = Case(row, signal, parts, contexts.subject(signal, parts), carries=tuple(carried))
    heard = case.facts({}, row["decided_at"])
    facts = next((one for one in heard if one["signal"]["event"] in rule.events), heard[0])
    made: dict[str, Any] = {root: dict(facts[root]) for root in vocabulary.FIELDS if root != "now"}
    made["now"] = row["decided_at"]
    for term in told.get("terms", ()):
        for label, value in term["values"].items():
            root, _, name = label.partition(".")
            if name and clipped(made[root].get(name)) != value:
                made[root][name] = value
    return made
