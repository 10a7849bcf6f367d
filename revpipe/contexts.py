"""Stored context: parts as JSON and back, and what a signal is about once its context is known."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from revpipe.columns import Uuids
from revpipe.db import sql
from revpipe.ports import Part, Parts
from revpipe.schemas.upcast import to_current
from revpipe.schemas.versions import VERSIONS
from revpipe.signals import Signal, subject_of

SCHEMA_VERSION: Final = VERSIONS["context"]


def dump(parts: Parts) -> dict[str, Any]:
    """Parts as they are stored."""
    return {
        name: {
            "provider": part.provider,
            "fetched_at": part.fetched_at.isoformat(),
            "value": dict(part.value) if part.value is not None else None,
            "complete": part.complete,
            "missing": part.missing,
        }
        for name, part in parts.items()
    }


def load(stored: Mapping[str, Any], version: int) -> dict[str, Part]:
    """Parts from their stored form of any known version. Raises NewerVersion and BadPayload for any other."""
    current = to_current({"schema_version": version, "parts": stored}, "context")
    return {
        name: Part(
            name=name,
            provider=part["provider"],
            fetched_at=datetime.fromisoformat(part["fetched_at"]),
            value=part["value"],
            complete=part["complete"],
            missing=part["missing"],
        )
        for name, part in current["parts"].items()
    }


def read(tx: Connection, signal_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[str, Part]]:
    """The stored contexts of signals, by signal id. Raises what `load` does."""
    return {key: load(*found) for key, found in stored(tx, signal_ids).items()}


def stored(tx: Connection, signal_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[Mapping[str, Any], int]]:
    """The contexts of signals as they are stored, each with its version: what `load` takes."""
    if not signal_ids:
        return {}
    rows = tx.execute(
        sql("SELECT signal_id, parts, schema_version FROM contexts WHERE signal_id = ANY(:ids)"),
        {"ids": Uuids(signal_ids)},
    )
    return {row.signal_id: (row.parts, row.schema_version) for row in rows}


def value(parts: Parts, name: str) -> Mapping[str, Any]:
    """The value of a part, empty if there is none."""
    part = parts.get(name)
    return part.value or {} if part else {}


def subject(signal: Signal, parts: Parts) -> str:
    """What decisions on this signal are counted by: the deal that context found, else the signal's own."""
    found = subject_of(
        signal.deal_id or value(parts, "deal").get("id"),
        signal.account_id or value(parts, "account").get("id"),
        signal.contact_id or value(parts, "contact").get("id"),
    )
    return found or signal.subject
