"""Signals as they are stored and as they travel, in the newest version whatever they were written in."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from marshmallow import ValidationError

from revpipe.errors import BadPayload
from revpipe.schemas.upcast import to_current
from revpipe.schemas.v1 import SignalV1
from revpipe.schemas.versions import VERSIONS
from revpipe.signals import Signal

_WIRE: Final = SignalV1()
_COLUMNS: Final = tuple(item.name for item in fields(Signal))


def dump_signal(signal: Signal) -> dict[str, Any]:
    """The JSON form of a signal. Raises BadPayload if it breaks its own schema."""
    dumped: dict[str, Any] = _WIRE.dump(signal)
    errors = _WIRE.validate(dumped)
    if errors:
        raise BadPayload("breaks_schema", str(errors)[:300])
    return dumped


def check_signal(signal: Signal) -> None:
    """Raise BadPayload if `signal` would break its own schema.

    It says no to all that `dump_signal` says no to, in a hundredth of its time: every signal that comes in is checked,
    and what its class has checked already is not checked again.
    """
    wrong = None
    if not _is_text(signal.event, 100):
        wrong = "event: 1 to 100 characters are allowed"
    elif not _is_text(signal.source, 50):
        wrong = "source: 1 to 50 characters are allowed"
    elif not isinstance(signal.payload, Mapping) or not all(type(key) is str for key in signal.payload):
        wrong = "payload: must be an object"
    elif signal.schema_version != VERSIONS["signal"]:
        wrong = f"schema_version: must be {VERSIONS['signal']}"
    else:
        for name in ("deal_id", "account_id", "contact_id"):
            if not (getattr(signal, name) is None or isinstance(getattr(signal, name), str)):
                wrong = f"{name}: must be a text"
    if wrong:
        raise BadPayload("breaks_schema", wrong)


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most


def load_signal(record: Mapping[str, Any]) -> Signal:
    """A signal from its JSON form of any known version. Raises BadPayload saying which field is wrong."""
    try:
        loaded: Signal = _WIRE.load(to_current(record))
    except ValidationError as error:
        raise BadPayload("breaks_schema", str(error.messages)[:300]) from error
    return loaded


def stored_signal(row: Mapping[str, Any]) -> Signal:
    """A signal from its ledger row, whose columns hold typed values."""
    current = to_current(row)
    return Signal(**{name: current[name] for name in _COLUMNS})
