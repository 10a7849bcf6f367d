"""What a signal's causal page shows, read from the ledger: its story, its raw request, its model calls."""

import uuid
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection

from revpipe import contexts, queries, schemas
from revpipe.db import sql
from revpipe.errors import RevpipeError
from revpipe.llm import question
from revpipe.services import Services
from revpipe.story.causal import Beside, Causal, ModelAsked, RawEvent, VersionAsked
from revpipe.story.causal_parts import build

SHOWN: Final = 20_000
"""How many bytes of a request's body are read."""
NEAR: Final = timedelta(hours=1)
"""How far apart a delivery and its signals may be dated; other months are not looked into."""

_RAW: Final = (
    "SELECT delivery_id, received_at, source, target, headers, substring(body FROM 1 FOR :most) AS body,"
    " octet_length(body) AS size, accepted, duplicates, rejected FROM deliveries"
    " WHERE delivery_id = :id AND received_at BETWEEN :since AND :until LIMIT 1"
)
_CALLS: Final = (
    "SELECT answer_id, question, asked_at, provider, model, template, attempt, outcome, answer, input_tokens,"
    " output_tokens, cost_usd, latency_ms FROM llm_answers WHERE signal_id = :id ORDER BY asked_at, answer_id"
)
_VERSIONS: Final = (
    "SELECT v.approval_id, v.version, v.params, v.by, v.way, v.at FROM approval_versions AS v"
    " WHERE v.approval_id = ANY(:ids) ORDER BY v.approval_id, v.version"
)


def of_signal(services: Services, tx: Connection, signal_id: uuid.UUID) -> Causal | None:
    """All that the ledger tells of one signal; None for an id that is no signal's."""
    if tx.execute(sql("SELECT 1 FROM signals WHERE signal_id = :id"), {"id": signal_id}).first() is None:
        return None
    story = queries.story(tx, signal_id)
    rows = [dict(row) for row in tx.execute(sql(_CALLS), {"id": signal_id}).mappings()]
    keys = {row.pop("question") for row in rows}
    calls = [ModelAsked(**row) for row in rows]
    return build(
        story,
        Beside(
            raw=_raw(tx, story["signal"]),
            calls=calls,
            question=_question(services, story, calls, keys),
            versions=_versions(tx, story),
            descriptions={rule.id: rule.description for rule in services.rules.rules},
        ),
    )


def _versions(tx: Connection, story: dict[str, Any]) -> dict[uuid.UUID, list[VersionAsked]]:
    """What was asked for, by approval. Until somebody edits it, that is what the action was planned with."""
    planned = {action["action_id"]: action for action in story["actions"]}
    found: dict[uuid.UUID, list[VersionAsked]] = {}
    edited = sorted(one["approval_id"] for one in story["approvals"] if one["version"] > 1)
    for row in tx.execute(sql(_VERSIONS), {"ids": edited}).mappings() if edited else ():
        told = {name: value for name, value in row.items() if name != "approval_id"}
        found.setdefault(row["approval_id"], []).append(VersionAsked(**told))
    for one in story["approvals"]:
        action = planned[one["action_id"]]
        first = VersionAsked(1, action["params"], one["planned_by"], "policy", action["created_at"])
        found.setdefault(one["approval_id"], [first])
    return found


def _raw(tx: Connection, signal: dict[str, Any]) -> RawEvent | None:
    at = signal["received_at"]
    values = {"id": signal["delivery_id"], "most": SHOWN, "since": at - NEAR, "until": at + NEAR}
    row = tx.execute(sql(_RAW), values).mappings().first()
    if row is None:
        return None
    told = dict(row)
    text = _text(bytes(told.pop("body")))
    return RawEvent(**told, text=text, cut=told["size"] > SHOWN)


def _text(body: bytes) -> str | None:
    """The body as text, None if it is none; a letter of several bytes may have been cut in two at the end."""
    if b"\0" in body:
        return None
    for cut in range(4):
        try:
            return body[: len(body) - cut].decode()
        except UnicodeDecodeError:
            continue
    return None


def _question(
    services: Services, story: dict[str, Any], calls: Sequence[ModelAsked], keys: Collection[str]
) -> str | None:
    """The question made again: it rests on the signal and its stored context alone.

    None where that is not the very one that was asked, because the prompt or the context is another by now.
    """
    context, desk = story["context"], services.desk
    if desk is None or context is None or not calls:
        return None
    try:
        signal = schemas.stored_signal(story["signal"])
        parts = contexts.load(context["parts"], context["schema_version"])
    except RevpipeError:
        return None
    asked = question.build(signal, parts, desk.policy, desk.template)
    same = any(asked.key(call.provider, call.model) in keys for call in calls)
    return asked.prompt.user if same else None
