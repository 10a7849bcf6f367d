"""Reading JSON that strangers sent: what PostgreSQL could not store is refused here, with a reason."""

import json
from typing import Any

from revpipe.errors import BadPayload

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1


def parse(body: bytes) -> Any:
    """The JSON value in `body`. Raises BadPayload: empty, not_utf8, not_json, nested_too_deep."""
    if not body.strip():
        raise BadPayload("empty", "the body is empty")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadPayload("not_utf8", f"byte {error.start} is not UTF-8") from error
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=_integer)
    except RecursionError as error:
        raise BadPayload("nested_too_deep", "nested beyond what can be read") from error
    except ValueError as error:
        raise BadPayload("not_json", str(error)[:200]) from error


def check_storable(value: Any) -> None:
    """Raise BadPayload if `value` holds NUL, a lone surrogate, a number beyond 64 bits, or nests too deep."""
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise BadPayload("nested_too_deep", f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(item, dict):
            stack.extend((key, depth) for key in item)
            stack.extend((child, depth + 1) for child in item.values())
        elif isinstance(item, list):
            stack.extend((child, depth + 1) for child in item)
        else:
            _check_scalar(item)


def _check_scalar(item: Any) -> None:
    if isinstance(item, str):
        if "\0" in item:
            raise BadPayload("nul_byte", "a text holds a NUL byte")
        if not item.isascii() and any("\ud800" <= char <= "\udfff" for char in item):
            raise BadPayload("bad_unicode", "a text holds half a surrogate pair")
    elif isinstance(item, int) and not isinstance(item, bool) and abs(item) > MAX_INTEGER:
        raise BadPayload("number_too_large", "a number is beyond 64 bits")
    elif isinstance(item, float) and item in (float("inf"), float("-inf")):
        raise BadPayload("number_too_large", "a number is beyond what can be stored")


def _integer(digits: str) -> int:
    # Python refuses to read thousands of digits, and would take the whole body down with the one number.
    return int(digits) if len(digits) <= 40 else (MAX_INTEGER + 1) * (-1 if digits.startswith("-") else 1)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
