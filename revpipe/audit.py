"""What people did to the pipeline by hand: written before it is done, and completed with what came of it."""

import getpass
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from revpipe.db import transaction
from revpipe.errors import RevpipeError
from revpipe.ids import uuid7

IDS_KEPT: Final = 1000
"""How many ids one row names at the most; each thing that was touched names the row in its own trail as well."""


def user_here() -> str:
    """The user of this machine and the machine's name, as `user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        # A container may run under a number that no name belongs to.
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def write(tx: Connection, now: datetime, actor: str, command: str, detail: Mapping[str, Any]) -> uuid.UUID:
    """Record a command; returns the id under which others refer to it. `detail` holds ids, codes and numbers."""
    audit_id = uuid7()
    tx.execute(
        text(
            "INSERT INTO operator_audit (audit_id, at, actor, command, detail)"
            " VALUES (:audit_id, :at, :actor, :command, :detail)"
        ).bindparams(bindparam("detail", type_=JSONB)),
        {"audit_id": audit_id, "at": now, "actor": actor, "command": command, "detail": dict(detail)},
    )
    return audit_id


def complete(tx: Connection, audit_id: uuid.UUID, outcome: Mapping[str, Any]) -> None:
    """Add what came of a command. A row without it tells of a command that was broken off."""
    tx.execute(
        text(
            "UPDATE operator_audit SET detail = detail || jsonb_build_object('outcome', CAST(:outcome AS jsonb))"
            " WHERE audit_id = :id"
        ).bindparams(bindparam("outcome", type_=JSONB)),
        {"id": audit_id, "outcome": dict(outcome)},
    )


@contextmanager
def told(
    engine: Engine, now: datetime, actor: str, command: str, detail: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Record a command around the block that carries it out; the block fills in what came of it.

    One that raises is recorded as `refused`, with the error's code.
    """
    with transaction(engine) as tx:
        audit_id = write(tx, now, actor, command, detail)
    outcome: dict[str, Any] = {}
    try:
        yield outcome
    except RevpipeError as error:
        outcome["refused"] = error.code
        raise
    finally:
        with transaction(engine) as tx:
            complete(tx, audit_id, outcome)


def listing(tx: Connection, limit: int = 50, before: uuid.UUID | None = None) -> list[dict[str, Any]]:
    """What was done, the newest in front; with `before`, what was done before that row."""
    rows = tx.execute(
        text(
            "SELECT audit_id, at, actor, command, detail FROM operator_audit WHERE CAST(:before AS uuid) IS NULL"
            " OR (at, audit_id) < (SELECT at, audit_id FROM operator_audit WHERE audit_id = :before)"
            " ORDER BY at DESC, audit_id DESC LIMIT :limit"
        ),
        {"limit": limit, "before": before},
    )
    return [dict(row) for row in rows.mappings()]
