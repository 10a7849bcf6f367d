"""Personal data out of a question, and names back into a draft: each person or address has one stable stand-in."""

import re
from collections.abc import Iterable
from typing import Final

EMAIL: Final = re.compile(r"[\w.+%'-]+[@＠][\w-]+(?:\.[\w-]+)+")
PHONE: Final = re.compile(
    r"(?<![\w.])(?!\d{4}-\d\d-\d\d)"
    r"(?:(?:\+|00?)\(?\d(?:[\s()/.-]?\d){6,14}|\(?\d{2,4}\)?[\s/-]\(?\d{2,4}\)?(?:[\s/-]?\d){3,9})(?!\w)"
)
"""Begins with + or 0, or is in groups: a bare run of digits is an amount or an id, and 2026-03-05 is a day."""
UNSEEN: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f"
)
"""Inside a pattern's brackets: control characters, and those that nobody sees, such as the ones of no width, the ones
that turn the direction of writing, and the tags in which whole texts can be hidden."""
STAND_IN: Final = re.compile(r"\[(person|email|phone) \d{1,3}\]")
NEUTRAL: Final = {"person": "the contact", "email": "(address)", "phone": "(number)"}
SHORTEST_NAME: Final = 2


class Mask:
    """The stand-ins of one question, numbered in the order in which they were met.

    `names` are the people that the context knows. Others whom a text mentions are not recognised as people; their
    addresses and numbers are.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._stands_for: dict[str, str] = {}
        self._stand_in: dict[tuple[str, str], str] = {}
        # The longest first: a full name is one person, not a first name with something behind it.
        known = sorted(
            {name.strip() for name in names if len(name.strip()) >= SHORTEST_NAME}, key=lambda n: (-len(n), n)
        )
        words = "|".join(re.escape(name) for name in known)
        self._names = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if known else None

    def hide(self, text: str) -> str:
        """The text without addresses, numbers and known names."""
        text = EMAIL.sub(lambda found: self._for("email", found.group()), text)
        text = PHONE.sub(lambda found: self._for("phone", found.group()), text)
        if self._names is not None:
            text = self._names.sub(lambda found: self._for("person", found.group()), text)
        return text

    def name_people(self, text: str) -> str:
        """The text of a draft: people by name, addresses and numbers by neutral words."""
        return STAND_IN.sub(
            lambda found: (
                self._stands_for.get(found.group(), NEUTRAL["person"])
                if found.group(1) == "person"
                else NEUTRAL[found.group(1)]
            ),
            text,
        )

    @staticmethod
    def neutral(text: str) -> str:
        """The text of anything else: nobody by name."""
        return STAND_IN.sub(lambda found: NEUTRAL[found.group(1)], text)

    def _for(self, kind: str, found: str) -> str:
        key = (kind, found.casefold())
        if key not in self._stand_in:
            number = 1 + sum(one == kind for one, _ in self._stand_in)
            self._stand_in[key] = f"[{kind} {number}]"
            self._stands_for[self._stand_in[key]] = found
        return self._stand_in[key]
