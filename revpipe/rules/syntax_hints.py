"""What the writer of a condition may have meant where CEL only says that it can't read it."""

import re
from typing import Final

_STRINGS: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_EQUALS: Final = re.compile(r"(?<![=!<>])=(?![=<>])")
_WORDS: Final = re.compile(r"(?<!\.)\b(?:and|or|not)\b", re.IGNORECASE)
_GROUPED: Final = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\w,])")


def hints(condition: str) -> str:
    """Each hint that fits a condition which is no CEL, headed by `; `; the empty text if none does."""
    bare = _STRINGS.sub("''", condition)
    found = []
    if _EQUALS.search(bare):
        found.append("write == to compare")
    if _WORDS.search(bare):
        found.append("write && for and, || for or, ! for not")
    found += [f"write {number.replace(',', '')}, not {number}" for number in _GROUPED.findall(bare)]
    return "".join(f"; {hint}" for hint in dict.fromkeys(found))
