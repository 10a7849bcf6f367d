"""Keeping every rules file that ever decided something, by the hash of its content, and reading it again."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import yaml
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert

from revpipe.errors import Misconfigured
from revpipe.marked_yaml import parse
from revpipe.models import RuleVersion
from revpipe.rules.book import RuleBook
from revpipe.rules.rule import LIVE, SHADOW

LOOKED_AT: Final = 50
"""How many of the latest versions are looked through for a rule's past."""


def remember(tx: Connection, rules: RuleBook) -> None:
    """Store the rules' text under its version, once."""
    tx.execute(insert(RuleVersion).values(version=rules.version, source=rules.source).on_conflict_do_nothing())


def listing(tx: Connection, limit: int, behind: tuple[datetime, str] | None = None) -> list[dict[str, Any]]:
    """The versions, the latest in front: when each was first in use, and its rules by mode.

    `behind` is where the page before ended: the last one's `first_seen_at` and `version`.
    """
    rows = tx.execute(
        text(
            "SELECT version, first_seen_at, source FROM rule_versions WHERE CAST(:at AS timestamptz) IS NULL"
            " OR first_seen_at < :at OR (first_seen_at = :at AND version > :version)"
            " ORDER BY first_seen_at DESC, version LIMIT :n"
        ),
        {"n": limit, "at": behind[0] if behind else None, "version": behind[1] if behind else None},
    )
    return [
        {"version": row.version, "first_seen_at": row.first_seen_at, "rules": dict(modes(row.source))} for row in rows
    ]


def read(tx: Connection, version: str) -> dict[str, Any] | None:
    """A version whole, by its id or a beginning of it that only one has; None if none or several have it."""
    rows = tx.execute(
        text(
            "SELECT version, first_seen_at, source FROM rule_versions WHERE starts_with(version, :version)"
            " ORDER BY version LIMIT 2"
        ),
        {"version": version},
    )
    found = [dict(row) for row in rows.mappings()]
    return found[0] if len(found) == 1 else next((one for one in found if one["version"] == version), None)


def in_shadow_since(tx: Connection, rule_id: str) -> datetime | None:
    """When the rule was first in shadow, as far as the latest versions tell; None if it never was."""
    rows = tx.execute(
        text(
            "SELECT first_seen_at, source FROM rule_versions WHERE strpos(source, :rule_id) > 0"
            " AND strpos(source, 'shadow') > 0 ORDER BY first_seen_at DESC LIMIT :n"
        ),
        {"rule_id": rule_id, "n": LOOKED_AT},
    )
    times = [row.first_seen_at for row in rows if modes(row.source).get(rule_id) == SHADOW]
    return min(times, default=None)


@lru_cache(maxsize=LOOKED_AT)
def modes(source: str) -> Mapping[str, str]:
    """Rule → mode in a rules file of any release, which this one need not be able to use."""
    try:
        top = parse(source, "rules.yaml").value
    except (Misconfigured, yaml.YAMLError):
        return {}
    found = top.get("rules") if isinstance(top, dict) else None
    rules = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return {str(one.get("id")): str(one.get("mode") or LIVE) for one in rules}
