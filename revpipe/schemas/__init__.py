"""Signals as they are stored and as they travel, in the newest version whatever they were written in."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from marshmallow import ValidationError

from revpipe.errors import BadPayload
from revpipe.schemas.upcast import to_current
from revpipe.schemas.v1 import SignalV1
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
