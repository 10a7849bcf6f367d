"""Keeping every rules file that ever decided something."""

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from revpipe.models import RuleVersion
from revpipe.rules.book import RuleBook


def remember(tx: Connection, rules: RuleBook) -> None:
    """Store the rules' text under its version, once."""
    tx.execute(insert(RuleVersion).values(version=rules.version, source=rules.source).on_conflict_do_nothing())
