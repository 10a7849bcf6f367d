"""HubSpot's CRM API: the calls that revpipe makes, and the one place that names their paths."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol

import orjson
import requests

from adapters.http import HttpClient
from adapters.hubspot import answers
from adapters.hubspot.answers import Batch, Links, Record
from revpipe.errors import CredentialsRefused, NotFound, Permanent, RevpipeError, Transient
from revpipe.ports import Gate

# Numbered versions end on 30 March 2027 (v4) and in September 2027 (v3); HubSpot's migration guide maps each
# of these to a dated path with the same bodies.
OBJECTS: Final = "/crm/v3/objects"
ASSOCIATIONS: Final = "/crm/v4/associations"
OWNERS: Final = "/crm/v3/owners"
DEAL_PIPELINES: Final = "/crm/v3/pipelines/deals"

BATCH: Final = 100
"""Objects in one batch read or write (HubSpot docs, objects)."""
BATCH_WITH_HISTORY: Final = 50
BATCH_OF_LINKS: Final = 1000
SEARCH_PAGE: Final = 200
SEARCH_BODY: Final = 2500
"""Characters that the values of one search may take: its whole body may have 3,000 (HubSpot docs, search)."""
FRESH: Final = timedelta(seconds=60)
"""How long a new record may still answer 404 (seen by integrators; HubSpot names no time)."""
TRACE: Final = "objectWriteTraceId"
"""Names one input of a batch write: HubSpot repeats it in results and errors, and then fails inputs singly."""
_WAITS: Final = {"TEN_SECONDLY_ROLLING": 10.0, "SECONDLY": 1.0, "DAILY": 3600.0}
"""Seconds to wait for each of HubSpot's limits; the daily one resets at midnight in a zone we aren't told."""
PATIENCE: Final = 8.0
"""Seconds that a call waits for a rate token: reading a full chunk takes some fifteen calls."""


class HubSpotSettings(Protocol):
    """What the HubSpot adapters need to be told."""

    @property
    def hubspot_access_token(self) -> str | None:
        """The token of a private app or a service key."""

    @property
    def hubspot_base_url(self) -> str:
        """Where the API is, without a path."""

    @property
    def hubspot_portal_id(self) -> str | None:
        """The account, for links to its pages."""


class HubSpotClient:
    """One HubSpot account. Safe to share between threads; opens no connection before its first call."""

    def __init__(self, settings: HubSpotSettings, gate: Gate) -> None:
        self._token = settings.hubspot_access_token
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        self._http = HttpClient(
            "hubspot", settings.hubspot_base_url, gate, headers, wait_told=wait_told, patience=PATIENCE
        )

    def read(
        self, object_type: str, ids: Iterable[str], properties: Sequence[str], history: Sequence[str] = ()
    ) -> Batch:
        """The records of `ids`, in as few calls as HubSpot allows. What is wrong with one id is its own error."""
        batch = Batch()
        asked = [record_id for record_id in dict.fromkeys(ids) if is_id(record_id)]
        for part in slices(asked, BATCH_WITH_HISTORY if history else BATCH):
            self._read_part(object_type, part, properties, history, batch)
        return batch

    def record(
        self, object_type: str, record_id: str, properties: Sequence[str], history: Sequence[str] = ()
    ) -> Record:
        """One record, with the history of those properties; of a merged one the survivor. Raises NotFound."""
        if not is_id(record_id):
            raise NotFound(f"{record_id!r} is not an id of HubSpot")
        path = f"{OBJECTS}/{object_type}/{record_id}"
        asked = {"properties": ",".join(properties) or None, "propertiesWithHistory": ",".join(history) or None}
        return _one(self._call("GET", path, params=asked))

    def links(self, from_type: str, to_type: str, ids: Iterable[str]) -> Links:
        """All associations of `ids` to records of `to_type`. A record without any has no entry."""
        found = Links()
        path = f"{ASSOCIATIONS}/{from_type}/{to_type}/batch/read"
        waiting = [{"id": record_id} for record_id in dict.fromkeys(ids) if is_id(record_id)]
        while waiting:
            inputs, waiting = waiting[:BATCH_OF_LINKS], waiting[BATCH_OF_LINKS:]
            answer = self._call("POST", path, {"inputs": inputs})
            waiting += _take_links(answer, [item["id"] for item in inputs], found)
        return found

    def search(self, object_type: str, name: str, values: Sequence[str], properties: Sequence[str]) -> Batch:
        """The records, by their own id, whose text property `name` is one of `values` (in lower case).

        The index that is searched lags behind the data by some seconds. The caller keeps `values` to what
        `search_slices` gives (HubSpot docs, search).
        """
        rule = {"propertyName": name, "operator": "IN", "values": values}
        body: dict[str, Any] = {"filterGroups": [{"filters": [rule]}], "properties": properties, "limit": SEARCH_PAGE}
        found = Batch()
        while True:
            answer = self._call("POST", f"{OBJECTS}/{object_type}/search", body, kind="search")
            for record in filter(None, map(answers.record, answers.items(answer, "results"))):
                found.records[record.id] = record
            following = answers.next_page(answer)
            if following in (None, body.get("after")):
                return found
            body["after"] = following

    def pages(self, path: str, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Every object of a list (owners, pipelines), page by page of `limit` objects."""
        after: str | None = None
        while True:
            answer = self._call("GET", path, params={"limit": limit, "after": after})
            yield from answers.items(answer, "results")
            following = answers.next_page(answer)
            if following in (None, after):
                return
            after = following

    def create(self, object_type: str, body: Mapping[str, Any]) -> Record:
        """Make one record. HubSpot knows no idempotency key: a failure may be ambiguous."""
        answer = self._call("POST", f"{OBJECTS}/{object_type}", body, safe=False)
        return _one(answer, ambiguous=True)

    def create_many(self, object_type: str, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Make up to 100 records; the answer as it came, which may hold errors."""
        return self._call("POST", f"{OBJECTS}/{object_type}/batch/create", {"inputs": inputs}, safe=False)

    def update(self, object_type: str, record_id: str, properties: Mapping[str, str]) -> Record:
        """Set properties of one record to absolute values.

        A repeat could undo what a person wrote meanwhile, so a failure may be ambiguous and nothing is repeated.
        """
        path = f"{OBJECTS}/{object_type}/{record_id}"
        return _one(self._call("PATCH", path, {"properties": properties}, safe=False), ambiguous=True)

    def update_many(self, object_type: str, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Set properties of up to 100 different records; the answer as it came, which may hold errors.

        A failure may be ambiguous, as for `update`.
        """
        return self._call("POST", f"{OBJECTS}/{object_type}/batch/update", {"inputs": inputs}, safe=False)

    def _read_part(
        self, object_type: str, ids: list[str], properties: Sequence[str], history: Sequence[str], batch: Batch
    ) -> None:
        body: dict[str, Any] = {"properties": properties, "propertiesWithHistory": history}
        body["inputs"] = [{"id": record_id} for record_id in ids]
        try:
            answer = self._call("POST", f"{OBJECTS}/{object_type}/batch/read", body)
        except Permanent as error:
            # One id that HubSpot chokes on must not cost its neighbours their context.
            if len(ids) > 1:
                for half in (ids[: len(ids) // 2], ids[len(ids) // 2 :]):
                    self._read_part(object_type, half, properties, history, batch)
            elif not isinstance(error, NotFound):
                batch.errors[ids[0]] = error
            return
        unclear, strangers = _take_records(answer, ids, batch)
        for record_id in unclear if strangers else ():
            with contextlib.suppress(Permanent):
                survivor = self.record(object_type, record_id, properties)
                batch.records[record_id] = strangers.get(survivor.id, survivor)

    def _call(
        self,
        method: str,
        path: str,
        json: Mapping[str, Any] | None = None,
        *,
        safe: bool = True,
        kind: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        if not self._token:
            raise CredentialsRefused("HUBSPOT_ACCESS_TOKEN is not set, so HubSpot can't be called")
        # Writing has a circuit of its own: a missing scope for it must not keep signals from being read about.
        kind = kind or ("default" if safe else "write")
        response = self._http.request(method, path, kind=kind, idempotent=safe, json=json, params=params)
        try:
            answer = orjson.loads(response.content)
        except ValueError as error:
            raise _unreadable(ambiguous=not safe) from error
        if not isinstance(answer, dict):
            raise _unreadable(ambiguous=not safe)
        return answer


def is_id(word: str) -> bool:
    """Whether a text can be a HubSpot record id: digits that fit 64 bits."""
    return word.isascii() and word.isdecimal() and int(word) < 2**63


def slices(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    """`ids` in lists of at most `size`."""
    return (list(ids[start : start + size]) for start in range(0, len(ids), size))


def search_slices(values: Iterable[str]) -> Iterator[list[str]]:
    """`values` in lists that one search can ask for."""
    some: list[str] = []
    size = 0
    for value in values:
        written = len(value) + len('"", ')
        if some and (len(some) == BATCH or size + written > SEARCH_BODY):
            yield some
            some, size = [], 0
        some.append(value)
        size += written
    if some:
        yield some


def wait_told(response: requests.Response) -> float | None:
    """Seconds to wait after a 429, by the limit that its body names (HubSpot sends no Retry-After there)."""
    try:
        policy = str(response.json().get("policyName", "")).upper()
    except (ValueError, AttributeError):
        return None
    return _WAITS.get(policy)


def _take_records(answer: Mapping[str, Any], ids: list[str], batch: Batch) -> tuple[list[str], dict[str, Record]]:
    """Sort an answer into `batch`. Returns the ids left over, and the records that no id was asked for.

    If there are both, a merge may be why: HubSpot answers an old id with the record that survived.
    """
    open_ids, strangers = set(ids), {}
    for found in filter(None, map(answers.record, answers.items(answer, "results"))):
        known = found.known_as & open_ids
        batch.records.update(dict.fromkeys(known, found))
        open_ids -= known
        if not known:
            strangers[found.id] = found
    for named, error in answers.failures(answer, "ids", "id"):
        meant = open_ids & set(named) if named else set(open_ids)
        open_ids -= meant
        if not isinstance(error, NotFound):
            batch.errors.update(dict.fromkeys(meant, error))
    return sorted(open_ids), strangers


def _take_links(answer: Mapping[str, Any], ids: list[str], found: Links) -> list[dict[str, str]]:
    """Sort an answer into `found`. Returns the inputs that ask for the pages to come."""
    more: list[dict[str, str]] = []
    for item in answers.items(answer, "results"):
        asked, links = answers.links(item)
        if asked is not None:
            found.to.setdefault(asked, []).extend(links)
            after = answers.next_page(item)
            more += [{"id": asked, "after": after}] if after else []
    for named, error in answers.failures(answer, "fromObjectId", "ids"):
        if not isinstance(error, NotFound):
            meant = named or [record_id for record_id in ids if record_id not in found.to]
            found.errors.update(dict.fromkeys(meant, error))
    return more


def _one(answer: Mapping[str, Any], *, ambiguous: bool = False) -> Record:
    found = answers.record(answer)
    if found is None:
        raise _unreadable(ambiguous=ambiguous)
    return found


def _unreadable(*, ambiguous: bool) -> RevpipeError:
    return Transient("hubspot answered what can't be read", ambiguous=ambiguous)
