"""Values on the wire, read strictly: what a schema of the API does not say is refused, with what to write instead."""

import re
import uuid
from datetime import datetime
from typing import Any, Final

from marshmallow import ValidationError, fields, validate

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII)
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
WORD: Final = r"^[A-Za-z0-9_.:-]{1,100}$"
"""Names that revpipe or its rules gave: events, sources, rules, circuits."""
RECORD: Final = r"^[!-~]{1,200}$"
"""Ids that others gave: printable, without blanks."""
_UNPRINTABLE: Final = re.compile("[\0\ud800-\udfff]")


class Moment(fields.AwareDateTime):
    """A time with its offset, RFC 3339; answered in UTC."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
            raise ValidationError("Write a time as 2026-03-05T09:00:00Z; in a URL a + is written %2B.")
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValidationError(f"There is no such time: {error}.") from error


class Id(fields.UUID):
    """An id of ours."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> uuid.UUID:
        if not isinstance(value, str) or not _ID.fullmatch(value):
            raise ValidationError("Write an id as 0197d0e2-7b1c-7000-8000-0123456789ab.")
        return uuid.UUID(value)


class Count(fields.Integer):
    """A whole number. In a query it stands in digits."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        digits = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value)
        if not digits and (isinstance(value, bool) or not isinstance(value, int)):
            raise ValidationError("Write a whole number.")
        return int(value)


class YesNo(fields.Boolean):
    """True or false, in these words."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if value in ("true", "false"):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise ValidationError("Write true or false.")
        return value


class Text(fields.String):
    """Text for people, without what a database or a terminal can't hold."""

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> str:
        text = super()._deserialize(value, *arguments, **more)
        if _UNPRINTABLE.search(text):
            raise ValidationError("NUL and half a surrogate pair can't be kept; leave them out.")
        return text


def word(what: str) -> fields.String:
    """A name of ours to filter by."""
    fault = "Write a name of at most 100 letters, digits and _ . : -"
    return fields.String(validate=validate.Regexp(WORD, error=fault), metadata={"description": what})


def record(what: str) -> fields.String:
    """Another's id to filter by."""
    fault = "Write an id of at most 200 printable characters without blanks."
    return fields.String(validate=validate.Regexp(RECORD, error=fault), metadata={"description": what})


def one_of(words: tuple[str, ...], what: str) -> fields.String:
    """One of some words to filter by."""
    fault = "Write one of {choices}."
    return fields.String(validate=validate.OneOf(words, error=fault), metadata={"description": what})


def told(kind: type[fields.Field[Any]], what: str, **more: Any) -> Any:
    """A value of an answer, always there."""
    return kind(required=True, metadata={"description": what}, **more)


def maybe(kind: type[fields.Field[Any]], what: str, **more: Any) -> Any:
    """A value of an answer that may be null."""
    return kind(required=True, allow_none=True, metadata={"description": what}, **more)
