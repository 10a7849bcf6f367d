"""Searches of all threads of a process, put together.

HubSpot lets an account search five times a second, whatever its plan, and one search may ask for a hundred values
(HubSpot docs, search). So those that come while others wait for their turn fill up the next one, and each goes on as
soon as what it asked for is there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from adapters.hubspot.answers import Batch, Record
from adapters.hubspot.client import HubSpotClient, search_slices
from revpipe.errors import CircuitOpen, RateLimited, RevpipeError

OURS: Final = "lease_over"
"""The code of an error that no vendor caused: the work is no longer ours, so none of it may go on."""


@dataclass(slots=True)
class _Asked:
    """One value that was asked for, and what came of it."""

    done: bool = False
    records: list[Record] = field(default_factory=list)
    error: Exception | None = None

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self.done = True


class Searches:
    """All searches of one client for records of `object_type` by one text property `name`, with these properties."""

    def __init__(self, client: HubSpotClient, object_type: str, name: str, properties: Sequence[str]) -> None:
        self.object_type = object_type
        self.name = name
        self._client = client
        self._properties = properties
        self._waiting: dict[str, _Asked] = {}
        self._joining = Lock()
        self._searching = Lock()

    def find(self, values: Iterable[str]) -> Batch:
        """The records found, by their own id, and errors by the value (in lower case) they kept from being found.

        Raises LeaseOver if the caller's own lease is over.
        """
        asked = self._join(values)
        while not all(one.done for one in asked.values()):
            with self._searching:
                # Whoever gets in asks for the values that have waited longest, be they its own or not.
                if not all(one.done for one in asked.values()):
                    self._search_next()
            # Another's lease that was over says nothing about ours.
            asked |= self._join(value for value, one in asked.items() if getattr(one.error, "code", None) == OURS)
        found = Batch()
        for value, one in asked.items():
            found.records |= {record.id: record for record in one.records}
            if isinstance(one.error, RevpipeError):
                found.errors[value] = one.error
            elif one.error is not None:
                raise one.error
        return found

    def value_of(self, record: Record) -> str:
        """What a record was found by."""
        return str(record.properties.get(self.name)).lower()

    def _join(self, values: Iterable[str]) -> dict[str, _Asked]:
        with self._joining:
            return {value: self._waiting.setdefault(value, _Asked()) for value in values}

    def _search_next(self) -> None:
        with self._joining:
            part = next(search_slices(self._waiting), [])
            asked = {value: self._waiting.pop(value) for value in part}
        try:
            for record in self._client.search(self.object_type, self.name, part, self._properties).records.values():
                if (one := asked.get(self.value_of(record))) is not None:
                    one.records.append(record)
        except Exception as error:
            self._end(asked.values(), error)
            if isinstance(error, RateLimited | CircuitOpen):
                # These stand for every search: the next would only wait again for nothing.
                with self._joining:
                    rest, self._waiting = self._waiting, {}
                self._end(rest.values(), error)
            if getattr(error, "code", None) == OURS:
                raise
        else:
            self._end(asked.values())

    @staticmethod
    def _end(asked: Iterable[_Asked], error: Exception | None = None) -> None:
        for one in asked:
            one.end(error)
