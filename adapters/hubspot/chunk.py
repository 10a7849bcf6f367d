"""What is read from HubSpot for one chunk of signals: each record once, each failure kept with its record.

A call that fails is told of the records that it was for, by whoever asks for one of them: what else was read stays
good, for signals and parts that need nothing of these.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeVar

from adapters.hubspot.answers import Batch, Link, Links, Record
from adapters.hubspot.client import BATCH, BATCH_WITH_HISTORY, HubSpotClient, slices
from adapters.hubspot.searching import OURS, Searches
from revpipe.errors import CircuitOpen, RateLimited, RevpipeError

F = TypeVar("F", Batch, Links)
DEALS: Final = "deals"
COMPANIES: Final = "companies"
CONTACTS: Final = "contacts"
TASKS: Final = "tasks"


class Chunk:
    """A memory of records and associations that lives as long as one `fetch`."""

    def __init__(self, client: HubSpotClient, searches: Searches) -> None:
        self._client = client
        self._searches = searches
        self._records: dict[tuple[str, str], Record] = {}
        self._links: dict[tuple[str, str, str], list[Link]] = {}
        self._errors: dict[tuple[str, ...], RevpipeError] = {}
        self._asked: set[tuple[str, ...]] = set()
        self._found: dict[tuple[str, str, str], list[Record]] = {}
        self._stop: RevpipeError | None = None

    def read(
        self, object_type: str, ids: Iterable[str], properties: Sequence[str], history: Sequence[str] = ()
    ) -> None:
        """Read those of `ids` that have not been asked for yet."""
        missing = [each for each in dict.fromkeys(ids) if (object_type, each) not in self._asked]
        self._asked |= {(object_type, record_id) for record_id in missing}
        for part in slices(missing, BATCH_WITH_HISTORY if history else BATCH):
            batch = self._tried(part, partial(self._client.read, object_type, part, properties, history), Batch)
            self._records |= {(object_type, record_id): found for record_id, found in batch.records.items()}
            self._errors |= {(object_type, record_id): error for record_id, error in batch.errors.items()}

    def find(self, values: Iterable[str]) -> None:
        """Search for records by `values` of what they are searched by; what is found counts as read."""
        object_type, name = self._searches.object_type, self._searches.name
        missing = [value for value in dict.fromkeys(values) if (object_type, name, value) not in self._asked]
        self._asked |= {(object_type, name, value) for value in missing}
        batch = self._searches.find(missing)
        self._errors |= {(object_type, name, value): error for value, error in batch.errors.items()}
        for record_id, record in batch.records.items():
            self._asked.add((object_type, record_id))
            self._records[object_type, record_id] = record
            self._found.setdefault((object_type, name, self._searches.value_of(record)), []).append(record)

    def found(self, object_type: str, name: str, value: str) -> list[Record]:
        """The records of that value, searched for before. Raises what kept them from being found."""
        self._raise((object_type, name, value))
        return self._found.get((object_type, name, value), [])

    def link(self, from_type: str, to_type: str, ids: Iterable[str]) -> None:
        """Read the associations of those of `ids` that have not been asked for yet."""
        missing = [record_id for record_id in ids if (from_type, to_type, record_id) not in self._asked]
        self._asked |= {(from_type, to_type, record_id) for record_id in missing}
        found = self._tried(missing, partial(self._client.links, from_type, to_type, missing), Links)
        self._links |= {(from_type, to_type, record_id): links for record_id, links in found.to.items()}
        self._errors |= {(from_type, to_type, record_id): error for record_id, error in found.errors.items()}

    def record(self, object_type: str, record_id: str | None) -> Record | None:
        """A record read before, None if there is none. Raises what kept it from being read."""
        if record_id is None:
            return None
        self._raise((object_type, record_id))
        return self._records.get((object_type, record_id))

    def lacks(self, object_type: str, record_id: str) -> bool:
        """Whether a record was asked for and, with no error, is not there."""
        key = (object_type, record_id)
        return key in self._asked and key not in self._records and key not in self._errors

    def records(self, object_type: str) -> list[Record]:
        """All records of a type that were found."""
        return [found for (kind, _), found in self._records.items() if kind == object_type]

    def links(self, from_type: str, to_type: str, record_id: str) -> list[Link]:
        """Associations read before. Raises what kept them from being read."""
        self._raise((from_type, to_type, record_id))
        return self._links.get((from_type, to_type, record_id), [])

    def linked(self, from_type: str, to_type: str, ids: Iterable[str]) -> list[str]:
        """The ids that any of `ids` is associated with, of what could be read."""
        keys = ((from_type, to_type, record_id) for record_id in ids)
        return [link.id for key in keys for link in self._links.get(key, [])]

    def _tried(self, ids: Sequence[str], call: Callable[[], F], nothing: Callable[..., F]) -> F:
        """What the call answers, or its error for each of `ids`. Raises only what is not about the vendor."""
        error = self._stop
        if error is None:
            try:
                return call()
            except RevpipeError as failure:
                if failure.code == OURS:
                    raise
                error = failure
                if isinstance(error, RateLimited | CircuitOpen):
                    # These stand for every call: the next would only wait again for nothing.
                    self._stop = error
        return nothing(errors=dict.fromkeys(ids, error))

    def _raise(self, key: tuple[str, ...]) -> None:
        error = self._errors.get(key)
        if error is not None:
            raise error
