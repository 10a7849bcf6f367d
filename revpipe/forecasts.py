"""What a replay would do, told before it is done: which actions run, which were done already, which are in doubt."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe import dead_letters
from revpipe.models.action import OPEN
from revpipe.superseding import SET_ASIDE

RUNS: Final = "will run"
DONE: Final = "already done"
LOOKED_UP: Final = "outcome unknown, will be looked up first"
STAYS: Final = "stays as it is"
ANEW: Final = ("enrich", "decide")
"""Stages from which a signal is decided anew, so that its actions are not known beforehand."""


@dataclass(frozen=True, slots=True)
class Known:
    """One action as it stands, and what becomes of it. `external_id` and `url` name an effect at its vendor."""

    action_id: uuid.UUID
    type: str
    state: str
    verdict: str
    external_id: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the replay of one dead letter or signal would do.

    `stage` is where it resumes: `ingest`, a stage, or `act` for one action. `refusal` says why nothing would be
    done; `over` then tells that nothing is left to do (it was replayed before, say), which is no fault.
    """

    signal_id: uuid.UUID | None = None
    letter_id: uuid.UUID | None = None
    stage: str | None = None
    actions: tuple[Known, ...] = ()
    refusal: str | None = None
    over: bool = False

    @property
    def anew(self) -> bool:
        """Whether the signal is decided anew: what will run is then not known yet."""
        return self.stage in ANEW


def of_letter(tx: Connection, letter_id: uuid.UUID, *, lock: bool = False) -> Forecast:
    """What the replay of a dead letter would do. With `lock` letter, actions and signal are ours until the commit."""
    letter = dead_letters.show(tx, letter_id, lock=lock)
    if letter is None:
        return Forecast(letter_id=letter_id, refusal="there is no such dead letter")
    told = Forecast(letter["signal_id"], letter_id, letter["stage"])
    if letter["state"] != "open":
        when = f"{letter['closed_at']:%Y-%m-%d %H:%M} UTC by {letter['closed_by']}" if letter["closed_at"] else "before"
        return replace(told, refusal=f"it was {letter['state']} {when}", over=True)
    if letter["stage"] == "ingest":
        return told
    if letter["signal_id"] is None:
        why = "it is a bare message, of no signal: rows that it named, if any, were sent again by the sweep; discard it"
        return replace(told, refusal=why)
    if letter["action_id"] is None:
        return replace(of_signal(tx, letter["signal_id"], letter["stage"], lock=lock), letter_id=letter_id)
    return _of_action(told, letter["action_id"], _actions(tx, letter["signal_id"], lock=lock))


def of_signal(tx: Connection, signal_id: uuid.UUID, stage: str | None = None, *, lock: bool = False) -> Forecast:
    """What the replay of a signal from `stage` would do; without one, from where it failed, else from decide."""
    actions = _actions(tx, signal_id, lock=lock)
    question = (
        "SELECT signal_id, state, stage, queue, disposition, reason, coalesced_into,"
        " EXISTS (SELECT 1 FROM contexts AS c WHERE c.signal_id = s.signal_id) AS has_context,"
        " EXISTS (SELECT 1 FROM plans AS p WHERE p.signal_id = s.signal_id) AS has_plan"
        " FROM signals AS s WHERE signal_id = :id"
    )
    # Actions before their signal, the order in which outcomes are written.
    row = tx.execute(text(question + (" FOR UPDATE" if lock else "")), {"id": signal_id}).mappings().first()
    if row is None:
        return Forecast(signal_id, refusal="there is no such signal")
    start = stage or _where_it_failed(tx, signal_id) or ("decide" if row["has_context"] else "enrich")
    known = tuple(_known(one, start) for one in actions)
    told = Forecast(signal_id, stage=start, actions=known)
    return replace(told, refusal=_refusal(dict(row), start, actions))


def _actions(tx: Connection, signal_id: uuid.UUID, *, lock: bool) -> list[Mapping[str, Any]]:
    question = (
        "SELECT action_id, type, state, reason, maybe_done, effect FROM actions"
        " WHERE signal_id = :id ORDER BY action_id"
    )
    rows = tx.execute(text(question + (" FOR UPDATE" if lock else "")), {"id": signal_id})
    return [dict(row) for row in rows.mappings()]


def _where_it_failed(tx: Connection, signal_id: uuid.UUID) -> str | None:
    letters = dead_letters.open_of(tx, signal_id)
    return next(("execute" if one["action_id"] else one["stage"] for one in letters), None)


def _refusal(row: Mapping[str, Any], stage: str, actions: Sequence[Mapping[str, Any]]) -> str | None:
    unsure = [one for one in actions if one["state"] == "unknown"]
    if row["disposition"] is None:
        others = [one for one in actions if one["state"] in OPEN and one["state"] != "unknown"]
        if row["state"] != "waiting" or others or not unsure:
            return f"it is in flight: {_whereabouts(row, others)}"
        if stage in ANEW:
            return f"action {unsure[0]['action_id']} is unknown: settle it first, or replay from execute, which looks"
    if row["disposition"] == "coalesced":
        return f"it was coalesced into signal {row['coalesced_into']}, which was decided for both: replay that one"
    if row["disposition"] == "suppressed" and not row["has_plan"]:
        return f"it was suppressed when it came in ({row['reason']}) and is never acted on"
    if stage == "decide" and not row["has_context"]:
        return "it has no context yet: replay it from enrich"
    if stage == "execute" and not any(_again(one) for one in actions):
        return "none of its actions failed or is unknown: there is nothing to carry out again"
    return None


def _whereabouts(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    if row["state"] == "waiting" and others:
        return ", ".join(f"{one['type']} {one['state'].replace('_', ' ')}" for one in others)
    return f"{row['state']}, in {row['queue']}" if row["queue"] else str(row["state"])


def _of_action(told: Forecast, action_id: uuid.UUID, actions: Sequence[Mapping[str, Any]]) -> Forecast:
    """An action by itself: the others of its signal are not touched."""
    action = next((one for one in actions if one["action_id"] == action_id), None)
    if action is None:
        return replace(told, refusal=f"its action {action_id} is not there any more")
    told = replace(told, stage="act", actions=(_known(action, "act"),))
    if action["state"] == "done":
        return replace(told, refusal="its action is done already", over=True)
    if action["reason"] == SET_ASIDE:
        return replace(told, refusal="its signal has been decided anew since, without this action", over=True)
    if not _again(action):
        return replace(told, refusal=f"its action is {action['state'].replace('_', ' ')}")
    return told


def _again(action: Mapping[str, Any]) -> bool:
    return action["state"] in ("failed", "unknown")


def _known(action: Mapping[str, Any], stage: str) -> Known:
    effect = action["effect"] or {}
    if action["state"] == "done":
        verdict = DONE
    elif _again(action) and stage not in ANEW:
        verdict = LOOKED_UP if action["maybe_done"] or action["state"] == "unknown" else RUNS
    else:
        verdict = STAYS
    return Known(
        action["action_id"], action["type"], action["state"], verdict, effect.get("external_id"), effect.get("url")
    )
