"""`/api/v1/dead-letters`: work that will not succeed by itself, and its way back."""

import uuid
from typing import Any

from flask import abort

from revpipe import dead_letters, replays
from revpipe.db import transaction
from revpipe.errors import Permanent
from revpipe.forecasts import Forecast
from revpipe.lists.walks import Mark
from revpipe.replays import Word
from revpipe.web import access
from revpipe.web.access import allowed
from revpipe.web.api import paging
from revpipe.web.api.blueprint import ApiBlueprint
from revpipe.web.api.dead_letter_schemas import (
    Discard,
    Discarded,
    LetterPage,
    LetterQuery,
    LetterWhole,
    Replayed,
)
from revpipe.web.api.dead_letter_schemas import Forecast as ForecastSchema
from revpipe.web.api.once import once
from revpipe.web.current import services

blueprint = ApiBlueprint("dead-letters", "/dead-letters", "Work that will not succeed by itself, and its way back.")

KIND = "dead-letters"
NONE = "No dead letter has this id; list them with GET /api/v1/dead-letters."
_ONE = {"letter_id": "$response.body#/items/0/letter_id"}


@blueprint.route("")
@allowed("deadletters.read")
@blueprint.links(
    dead_letter={"operationId": "dead_letter", "parameters": _ONE},
    forecast={"operationId": "forecast", "parameters": _ONE},
    replay={"operationId": "replay", "parameters": _ONE},
    discard={"operationId": "discard", "parameters": _ONE},
    next_dead_letters={"operationId": "dead_letters", "parameters": {"after": "$response.body#/next"}},
)
@blueprint.problems(404)
@blueprint.arguments(LetterQuery, location="query")
@blueprint.response(200, LetterPage)
@blueprint.doc(operationId="dead_letters")
def list_(asked: dict[str, Any]) -> dict[str, Any]:
    """Dead letters in any state, the one buried last in front."""
    limit, after = asked.pop("limit"), paging.mark(KIND, asked.pop("after", None))
    state, wanted = asked.pop("state", None), dead_letters.Filter(**asked)
    behind = None if after is None else dead_letters.Mark(after.at, after.id)
    with transaction(services().engine) as tx:
        rows = dead_letters.listing(tx, state, limit + 1, wanted, behind)
    return paging.answer(KIND, paging.cut(rows, limit, lambda row: Mark(row["last_at"], row["letter_id"])))


@blueprint.route("/<uuid:letter_id>")
@allowed("deadletters.read")
@blueprint.problems(404)
@blueprint.response(200, LetterWhole)
@blueprint.doc(operationId="dead_letter")
def show(letter_id: uuid.UUID) -> dict[str, Any]:
    """One dead letter, with error, traceback and what it was about."""
    with transaction(services().engine) as tx:
        found = dead_letters.show(tx, letter_id)
    if found is None:
        abort(404, NONE)
    return found


@blueprint.route("/<uuid:letter_id>/forecast")
@allowed("deadletters.read")
@blueprint.problems(404)
@blueprint.response(200, ForecastSchema)
@blueprint.doc(operationId="forecast")
def forecast(letter_id: uuid.UUID) -> Forecast:
    """What a replay of it would do: which actions run, which were done already, which are looked up first."""
    return _told(letter_id)


@blueprint.route("/<uuid:letter_id>/replay", methods=["POST"])
@allowed("deadletters.replay")
@blueprint.problems(404, 409)
@blueprint.headers("idempotency_key")
@once
@blueprint.response(200, Replayed)
@blueprint.doc(operationId="replay")
def replay(letter_id: uuid.UUID) -> dict[str, Any]:
    """Try it again from the stage that failed. What was done is not done again."""
    _told(letter_id)
    done = replays.letters(services(), [letter_id], Word(access.acting().name, "api dead-letters replay"))
    result = done.results[0]
    if result.outcome == "still_bad":
        abort(409, f"It is still refused: {result.reason}. Mend what it names, then replay it again.")
    if result.outcome == "refused":
        raise Permanent(result.reason or "it can't be replayed")
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "signals": result.signals,
        "forecast": result.forecast,
        "audit_id": done.audit_id,
    }


@blueprint.route("/<uuid:letter_id>/discard", methods=["POST"])
@allowed("deadletters.discard")
@blueprint.problems(404, 409)
@blueprint.headers("idempotency_key")
@blueprint.arguments(Discard)
@once
@blueprint.response(200, Discarded)
@blueprint.doc(operationId="discard")
def discard(asked: dict[str, Any], letter_id: uuid.UUID) -> dict[str, Any]:
    """Close it for good, with the reason. Its signal stays dead-lettered."""
    _told(letter_id)
    word = Word(access.acting().name, "api dead-letters discard")
    audit_id, closed = replays.discard(services(), [letter_id], word, asked["why"])
    if not closed:
        abort(409, "It is closed already; GET it to see by whom and why.")
    return {"letter_id": letter_id, "audit_id": audit_id}


def _told(letter_id: uuid.UUID) -> Forecast:
    """What a replay would do. Aborts with 404 where there is no such letter."""
    with transaction(services().engine) as tx:
        if dead_letters.show(tx, letter_id) is None:
            abort(404, NONE)
    return next(iter(replays.letter_forecasts(services(), [letter_id])))
