"""What a text that somebody wrote may hold, so that the ledger can keep it and a vendor can take it."""

from typing import Final

LONGEST_TEXT: Final = 50_000
"""Characters of one text: a long letter has a tenth of that."""
LONGEST_LINE: Final = 500
"""Characters of what is one line: a subject, a title, an address."""


def fault_of(text: str, *, one_line: bool = False) -> str | None:
    """What is wrong with a text, to be put behind the name of what it is; None if nothing is."""
    most = LONGEST_LINE if one_line else LONGEST_TEXT
    if len(text) > most:
        return f"has {len(text):,} characters; at most {most:,} are taken"
    if one_line and any(sign in text for sign in "\r\n\x0b\x0c\x85\u2028\u2029"):
        return "must be one line: a line break in it would begin another header"
    if any(ord(sign) < 32 and sign not in "\t\r\n" for sign in text) or "\x7f" in text:
        return "holds control characters"
    if any(0xD800 <= ord(sign) <= 0xDFFF for sign in text):
        return "holds half a character"
    return None
