"""Lists that travel to PostgreSQL as arrays in its binary form, their elements all of one type, which is told.

As text, each element is quoted here and read again there. And where the type of a list follows from what happens to
stand in it, each mixture is a statement of its own to prepare.
"""

from collections.abc import Mapping
from typing import Any, Final

import psycopg
from psycopg.types.array import ListBinaryDumper


class Column(list[Any]):
    """Values of one column, None among them."""

    __slots__ = ()


class Uuids(Column):
    """Of `uuid`."""


class Texts(Column):
    """Of `text`."""


class Bodies(Column):
    """Of `bytea`."""


_ELEMENTS: Final[Mapping[type[Column], str]] = {Uuids: "uuid", Texts: "text", Bodies: "bytea"}


def _register(kind: type[Column], element: str) -> None:
    """Let psycopg know how lists of this kind are sent, whatever connection they are sent by."""
    info = psycopg.adapters.types[element]
    fixed = {"element_oid": info.oid, "oid": info.array_oid}
    psycopg.adapters.register_dumper(kind, type(f"{kind.__name__}Dumper", (ListBinaryDumper,), fixed))


for _kind, _element in _ELEMENTS.items():
    _register(_kind, _element)
