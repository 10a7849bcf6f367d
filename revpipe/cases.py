"""What a decision is made on: one signal with all that is known about it, and the changes that it carries."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import contexts, failures, schemas
from revpipe.db import sql
from revpipe.errors import RevpipeError
from revpipe.ports import Part, Parts
from revpipe.rules import vocabulary
from revpipe.rules.book import higher
from revpipe.signals import Signal
from revpipe.work import Claim

TOLD: Final = 200
"""How many changes rules are told of at the most, the latest ones."""


@dataclass(frozen=True, slots=True)
class Change:
    """A signal that another one carries. Of its parts only `change` counts: the rest is as the other one found it."""

    signal: Signal
    parts: Parts


@dataclass(frozen=True, slots=True)
class Case:
    """One signal with all that is known about it."""

    row: Mapping[str, Any]
    signal: Signal
    parts: Parts
    subject: str
    former: Sequence[Mapping[str, Any]] = ()
    """Actions of its earlier plans that had their effect, or may have had it: none of them is planned again."""
    carries: Sequence[Change] = ()
    """Signals that were coalesced into this one."""

    def facts(self, history: Mapping[str, Any], now: datetime) -> list[vocabulary.Facts]:
        """What rules see: the signal first, then what else it carries, the latest of each event, from new to old.

        It is as urgent as the most urgent of them. `history` and `now` are those of `vocabulary.facts`.
        """
        if not self.carries:
            return [vocabulary.facts(self.signal, self.parts, history, now)]
        others = sorted(self.carries, key=lambda one: (one.signal.fired_at, one.signal.signal_id))
        urgency = self.signal.urgency
        for one in others:
            urgency = higher(urgency, one.signal.urgency)
        whole = sorted((Change(self.signal, self.parts), *others), key=lambda one: one.signal.fired_at)
        told = [vocabulary.change_of(one.signal, one.parts) for one in whole[-TOLD:]]
        latest = {one.signal.event: one for one in others}
        heard = sorted(latest.values(), key=lambda one: one.signal.fired_at, reverse=True)
        shown = [Change(self.signal, self.parts), *(one for one in heard if one.signal.event != self.signal.event)]
        return [
            vocabulary.facts(replace(one.signal, urgency=urgency), self._seen(one), history, now, told) for one in shown
        ]

    def _seen(self, change: Change) -> dict[str, Part]:
        """The world as the newest signal found it, with the change's own before and after."""
        rest = {name: part for name, part in self.parts.items() if name != "change"}
        return rest | {name: part for name, part in change.parts.items() if name == "change"}


def of_claim(held: Claim) -> tuple[list[Case], list[failures.Failure]]:
    """The signals held with their contexts, which were read with the claim, and those that can't be read."""
    cases: list[Case] = []
    failed: list[failures.Failure] = []
    for row in held.rows:
        try:
            signal = schemas.stored_signal(row)
        except RevpipeError as error:
            failed.append(failures.Failure(row, error))
            continue
        context = held.beside.get(signal.signal_id)
        parts = contexts.load(*context) if context else {}
        cases.append(Case(row, signal, parts, contexts.subject(signal, parts)))
    return cases, failed


_CHANGES: Final = (
    "SELECT s.*, jsonb_build_object('change', c.parts -> 'change') AS parts, c.schema_version AS context_version"
    " FROM signals AS s LEFT JOIN contexts AS c USING (signal_id)"
)


def changes(tx: Connection, where: str, values: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Change]]:
    """Signals of the ledger as changes, each with its row. `where` is SQL behind the tables `s` and `c`.

    What only a later release can read is left out.
    """
    found: list[tuple[Mapping[str, Any], Change]] = []
    for row in tx.execute(sql(f"{_CHANGES} {where}"), dict(values)).mappings():
        try:
            stored = {name: part for name, part in (row["parts"] or {}).items() if part}
            parts = contexts.load(stored, row["context_version"]) if stored else {}
            found.append((dict(row), Change(schemas.stored_signal(dict(row)), parts)))
        except RevpipeError:
            continue
    return found


def carried(tx: Connection, signal_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Change]]:
    """What was coalesced into each of these signals."""
    found: dict[uuid.UUID, list[Change]] = {}
    if signal_ids:
        where = "WHERE s.coalesced_into = ANY(:ids) ORDER BY s.fired_at, s.signal_id"
        for row, change in changes(tx, where, {"ids": sorted(signal_ids)}):
            found.setdefault(row["coalesced_into"], []).append(change)
    return found
