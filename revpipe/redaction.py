"""Takes personal data and secrets out of what goes to logs and error reports."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

GONE: Final = "[redacted]"
MAX_DEPTH: Final = 16

# Every repetition before a fixed character has an upper bound, so that a long text can't make matching slow.
_PATTERNS: Final = (
    (re.compile(r"(?<=://)[^/\s@]{1,256}@"), GONE + "@"),
    (re.compile(r"[\w.%+'-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63})+"), GONE),
    (re.compile(r"\b(Bearer)\s+[\w.~+/=-]{4,}", re.IGNORECASE), r"\1 " + GONE),
    (re.compile(r"\b(Basic)\s+(?=[a-z]{0,99}[A-Z0-9+/=])[A-Za-z0-9+/=]{12,}"), r"\1 " + GONE),
    (re.compile(r"\bx(?:ox[a-z]|app)[-.][\w.-]{4,}"), GONE),
    (re.compile(r"\bpat-[a-z]{2,4}\d{0,2}-[\w-]{4,}", re.IGNORECASE), GONE),
    (re.compile(r"\bsk-[\w-]{12,}"), GONE),
)
_SECRET_KEY: Final = re.compile(
    r"authori[sz]ation|cookie|passw|secret|token|api_?key|access_?key|private_?key|credential|signature|dsn$"
)


_NEEDED: Final = re.compile(r"@|%40|bearer|basic|x(?:ox|app)|pat-|sk-", re.IGNORECASE)
"""Something of this is in every text that one of the patterns matches; most texts hold none of it."""


def scrub(text: str) -> str:
    """`text` without e-mail addresses, bearer tokens, API keys of our vendors, and logins within URLs."""
    if not _NEEDED.search(text):
        return text
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def redact(value: Any, depth: int = 0) -> Any:
    """`value` as plain JSON data, every text scrubbed and whatever stands under a secret's name removed.

    What is not JSON is replaced by its scrubbed text, so that nothing is written out unseen afterwards.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return scrub(value)
    if depth >= MAX_DEPTH:
        return GONE
    if isinstance(value, Mapping):
        return {scrub(str(key)): _redact_under(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item, depth + 1) for item in value]
    return scrub(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _redact_under(key: str, value: Any, depth: int) -> Any:
    # A number under such a name counts something (tokens used); it is no secret.
    if isinstance(value, bool | int | float) or value is None:
        return redact(value, depth)
    return GONE if _SECRET_KEY.search(key.lower().replace("-", "_")) else redact(value, depth)
