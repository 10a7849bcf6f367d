"""Which column of a Bombora file is which: by its heading, or by place in the two old layouts without one.

Bombora publishes no file specification. The layouts are those of its own sample files (2015) and of public loaders
of later files and report exports, whose headings are spelt in many ways.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from revpipe.errors import BadPayload

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "domain": ("domain", "companydomain", "website", "companyurl"),
    "topic": ("topicname", "topic"),
    "score": ("compositescore", "companysurgescore", "score"),
    "week": ("date", "datestamp", "week", "reportdate"),
    "company_name": ("companyname", "company"),
    "topic_id": ("topicid",),
    "score_delta": ("compositescoredelta", "delta"),
    "category": ("topiccategory", "category"),
    "theme": ("theme",),
    "industry": ("industry",),
    "size": ("companysize", "size"),
    "revenue": ("companyrevenue", "revenue"),
    "metro": ("metroarea", "metro"),
    "country": ("country", "intentcountry", "domainorigin", "domainorigincountry"),
}
"""What a column holds → how its heading may be spelt, letters and digits only; the first that is there is taken."""
REQUIRED: Final = ("domain", "topic", "score")
_COMPANY: Final = ("company_name", "domain", "size", "industry", "category", "topic", "score")
BY_PLACE: Final[Mapping[int, tuple[str, ...]]] = {
    9: (*_COMPANY, "metro", "country"),
    12: (*_COMPANY, "", "metro", "", "", "country"),
}
"""The files without a heading, by how many columns they have: Master Surge, and All Domains All Topics."""
_SUMMARY: Final = frozenset({"averagescore", "topiccount"})


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each field stands, how many columns there are, and whether the first record is their heading."""

    places: Mapping[str, int]
    width: int
    headed: bool

    def value(self, cells: Sequence[str], name: str) -> str:
        """A field of a row, without blanks around it; empty if the file has no such column."""
        place = self.places.get(name)
        return cells[place].strip() if place is not None else ""


def read(cells: Sequence[str]) -> Columns:
    """The columns, by the first record of a file. Raises BadPayload: missing_columns, summary_report."""
    words = [plain(cell) for cell in cells]
    if not set(words) & set(ALIASES["domain"]):
        return _by_place(cells)
    places: dict[str, int] = {}
    for name, aliases in ALIASES.items():
        found = next((alias for alias in aliases if alias in words), None)
        if found is not None:
            places[name] = words.index(found)
    missing = [name for name in REQUIRED if name not in places]
    if missing and set(words) & _SUMMARY:
        raise BadPayload("summary_report", "a summary report names no topics; export the comprehensive one")
    if missing:
        raise BadPayload("missing_columns", f"no column for {', '.join(missing)}; {_wanted(missing)}; {_found(cells)}")
    return Columns(places, len(cells), headed=True)


def plain(cell: str) -> str:
    """A heading without case, blanks and punctuation: `Composite_Score ` is `compositescore`."""
    return "".join(char for char in cell.casefold() if char.isalnum())


def _by_place(cells: Sequence[str]) -> Columns:
    names = BY_PLACE.get(len(cells), ())
    places = {name: place for place, name in enumerate(names) if name}
    # A heading that is merely spelt in an unknown way must not pass for a row of numbers.
    if not names or "." not in cells[places["domain"]] or not cells[places["score"]].strip().isdecimal():
        raise BadPayload("missing_columns", f"no heading that names a domain; {_wanted(REQUIRED)}; {_found(cells)}")
    return Columns(places, len(cells), headed=False)


def _wanted(names: Sequence[str]) -> str:
    ways = (f"{name} ({', '.join(ALIASES[name])})" for name in names)
    return f"wanted, however blanks, case and punctuation are: {'; '.join(ways)}"


def _found(cells: Sequence[str]) -> str:
    return f"found: {', '.join(cell.strip()[:40] for cell in cells[:40])}"
