"""Dead letters on the wire."""

from marshmallow import Schema, fields, validate

from revpipe.models.dead_letter import STATES
from revpipe.web.api.fields import Id, Moment, Text, maybe, one_of, told, word
from revpipe.web.api.paging import Query, page_of

STAGES = ("ingest", "enrich", "decide", "execute", "act", "message")


class LetterQuery(Query):
    """Filters of dead letters."""

    state = one_of(STATES, "In this state.")
    stage = one_of(STAGES, "Of this stage.")
    reason = word("With this reason.")
    source = word("From this source.")
    since = Moment(metadata={"description": "Last buried from then on."})
    until = Moment(metadata={"description": "Last buried before then."})
    signal_id = Id(metadata={"description": "Of this signal and its actions."})


class Letter(Schema):
    """One dead letter in short."""

    letter_id = told(Id, "Its id.")
    stage = told(fields.String, "Where it failed.")
    source = maybe(fields.String, "From which source.")
    reason = told(fields.String, "Why, as one word.")
    error = told(fields.String, "The error.")
    signal_id = maybe(Id, "The signal.")
    action_id = maybe(Id, "The action.")
    delivery_id = maybe(Id, "The delivery.")
    attempts = told(fields.Integer, "How often it was tried.")
    times = told(fields.Integer, "How often it was buried.")
    replays = told(fields.Integer, "How often it was replayed.")
    first_at = told(Moment, "When it failed first.")
    last_at = told(Moment, "When it was buried last.")
    state = told(fields.String, "open, replayed or discarded.")
    closed_at = maybe(Moment, "When it was closed.")
    closed_by = maybe(fields.String, "Who closed it.")
    closed_why = maybe(fields.String, "Why.")


class LetterWhole(Letter):
    """One dead letter with all that helps to understand it."""

    queue = maybe(fields.String, "In which queue.")
    traceback = maybe(fields.String, "Where in the code.")
    correlation_id = maybe(Id, "In which correlation.")
    message = fields.Method(
        "text_of_message",
        required=True,
        metadata={"type": ["string", "null"], "description": "What could not be read, as text."},
    )
    worker = maybe(fields.String, "Which worker held it.")
    detail = told(fields.Dict, "What else is known.")

    def text_of_message(self, letter: dict[str, object]) -> str | None:
        """Bytes that are no text are shown as escapes."""
        raw = letter["message"]
        return bytes(raw).decode("utf-8", "backslashreplace") if isinstance(raw, bytes | memoryview) else None


class KnownAction(Schema):
    """An action as it stands, and what becomes of it."""

    action_id = told(Id, "Its id.")
    type = told(fields.String, "What is to be done.")
    state = told(fields.String, "How far it is.")
    verdict = told(fields.String, "What the replay does with it.")
    external_id = maybe(fields.String, "The effect at its vendor.")
    url = maybe(fields.String, "A link to it.")


class Forecast(Schema):
    """What a replay would do."""

    letter_id = maybe(Id, "The letter.")
    signal_id = maybe(Id, "The signal.")
    stage = maybe(fields.String, "Where it begins again.")
    anew = told(fields.Boolean, "Whether the signal is decided anew, so that its actions are not known yet.")
    actions = told(fields.List, "What becomes of its actions.", cls_or_instance=fields.Nested(KnownAction))
    refusal = maybe(fields.String, "Why nothing would be done.")
    over = told(fields.Boolean, "Whether nothing is left to do, which is no fault.")


class Replayed(Schema):
    """What came of a replay."""

    outcome = told(fields.String, "replayed, or over: nothing was left to do.")
    reason = maybe(fields.String, "Why, where nothing was left to do.")
    signals = told(fields.List, "Signals that a letter of stage ingest turned into.", cls_or_instance=Id())
    forecast = told(fields.Nested, "What was done.", nested=Forecast())
    audit_id = told(Id, "Its row in the audit.")


class Discard(Schema):
    """The end of a dead letter."""

    why = Text(
        required=True,
        validate=validate.Length(1, 1_000, error="Write {min} to {max} characters."),
        metadata={"description": "Why nothing is lost by it; kept with the letter. Names of no persons."},
    )


class Discarded(Schema):
    """What came of it."""

    letter_id = told(Id, "The letter.")
    audit_id = told(Id, "Its row in the audit.")


LetterPage = page_of(Letter, "LetterPage")
