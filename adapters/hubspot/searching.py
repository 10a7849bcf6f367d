"""Searches of all threads of a process, put together.

HubSpot lets an account search five times a second, whatever its plan, and one search may ask for a hundred values
(HubSpot docs, search). So those that come while others wait for their turn fill up the next one, and each goes on as
soon as what it asked for is there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from adapters.hubspot.answers import Batch, Record
from adapters.hubspot.client import HubSpotClient, search_slices
from revpipe.errors import CircuitOpen, Permanent, RateLimited, RevpipeError, Transient

OURS: Final = "lease_over"
"""The code of an error that no vendor caused: the work is no longer ours, so none of it may go on."""


@dataclass(slots=True)
class _Asked:
    """One value that was asked for, by how many, and what came of it."""

    askers: int = 0
    done: bool = False
    records: list[Record] = field(default_factory=list)
    error: Exception | None = None

    def end(self, error: Exception | None = None) -> None:
        self.error = error
        self.done = True

    @property
    def void(self) -> bool:
        """Whether it ended for the lease of whoever searched, which says nothing about anybody else's."""
        return self.done and getattr(self.error, "code", None) == OURS


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
        try:
            while True:
                asked |= self._join([value for value, one in asked.items() if one.void])
                if all(one.done for one in asked.values()):
                    break
                with self._searching:
                    if not all(one.done for one in asked.values()):
                        self._search_next(asked)
        finally:
            self._leave(asked)
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
            asked = {value: self._waiting.setdefault(value, _Asked()) for value in values}
            for one in asked.values():
                one.askers += 1
        return asked

    def _leave(self, asked: Mapping[str, _Asked]) -> None:
        """Nobody is to search for what whoever asked no longer waits for."""
        with self._joining:
            for value, one in asked.items():
                one.askers -= 1
                if not one.askers and self._waiting.get(value) is one:
                    del self._waiting[value]

    def _search_next(self, own: Mapping[str, _Asked]) -> None:
        """One search: for what the caller still waits for, filled up with what others have waited for longest."""
        with self._joining:
            mine = [value for value, one in own.items() if not one.done]
            part = next(search_slices(dict.fromkeys([*mine, *self._waiting])))
            asked = {value: self._waiting.pop(value) if value in self._waiting else own[value] for value in part}
        reason: Exception = Transient("the search was broken off")
        try:
            self._search(asked)
        except RevpipeError as error:
            reason = error
            raise
        finally:
            # Whatever ended it, nobody is left waiting for what has been taken out.
            self._end([one for one in asked.values() if not one.done], reason)

    def _search(self, asked: Mapping[str, _Asked]) -> None:
        try:
            found = self._client.search(self.object_type, self.name, list(asked), self._properties)
            for record in found.records.values():
                if (one := asked.get(self.value_of(record))) is not None:
                    one.records.append(record)
        except Permanent as error:
            if len(asked) == 1:
                self._end(asked.values(), error)
                return
            # One value that HubSpot does not take must not cost all others.
            values = list(asked)
            for half in (values[: len(values) // 2], values[len(values) // 2 :]):
                self._search({value: asked[value] for value in half})
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
