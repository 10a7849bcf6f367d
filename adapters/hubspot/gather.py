"""Reads what a chunk of signals needs from the CRM, in as few calls as there are kinds of record."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from adapters.hubspot import accounts, contacts, deals, tasks
from adapters.hubspot.answers import Record
from adapters.hubspot.changes import Changed, changed
from adapters.hubspot.chunk import COMPANIES, CONTACTS, DEALS, TASKS, Chunk
from adapters.hubspot.client import HubSpotClient
from adapters.hubspot.pipelines import Stages
from adapters.hubspot.searching import Searches
from adapters.hubspot.values import text
from revpipe.errors import RevpipeError
from revpipe.signals import Signal

T = TypeVar("T")
MAX_CONTACTS: Final = 25
"""How many of a deal's contacts are read to find its champion."""
_PROPERTIES: Final = {CONTACTS: contacts.PROPERTIES, COMPANIES: accounts.PROPERTIES}


@dataclass(slots=True)
class Need:
    """One signal and the parts wanted of it. `deal_id` is its own deal or the one chosen for it.

    `error` is what kept a deal from being chosen; it concerns the parts that hang on one.
    """

    signal: Signal
    parts: frozenset[str]
    deal_id: str | None
    no_deal: str = "no_association"
    error: RevpipeError | None = None
    found_account: str | None = None
    """The account of a signal that only names a web domain."""
    change: Changed | None = field(init=False)
    """The change that is asked about, if any."""

    def __post_init__(self) -> None:
        self.change = changed(self.signal) if "change" in self.parts else None

    @property
    def account_id(self) -> str | None:
        """The account that the signal is about, as far as it is about one."""
        return self.signal.account_id or self.found_account

    @property
    def uses_deal(self) -> bool:
        """Whether a deal is needed, for itself or on the way to its account or contact."""
        return any(self.hangs_on_deal(part) for part in self.parts)

    def hangs_on_deal(self, part: str) -> bool:
        """Whether one part can't be told without the deal."""
        own = self.signal
        if part == "account":
            return not (own.domain or (own.account_id and own.deal_id is None))
        return part == "deal" or (part == "contact" and not own.contact_id)


def gather(client: HubSpotClient, searches: Searches, needs: Sequence[Need], stages: Stages) -> Chunk:
    """Read everything that the needs name; what can't be read is told by the chunk when it is asked for."""
    chunk = Chunk(client, searches)
    _find_accounts(chunk, [need for need in needs if need.parts and need.signal.domain])
    _read_changed(chunk, needs)
    _choose_deals(
        chunk, Chunk(client, searches), [need for need in needs if need.uses_deal and not need.deal_id], stages
    )
    _read_deals(chunk, needs)
    _read_links(chunk, needs)
    # What the deal itself needs comes first: where a limit ends the reading, the part most asked for is whole.
    deal_ids = _deal_ids(chunk, needs, "deal")
    chunk.read(TASKS, [task_id for deal_id in deal_ids for task_id in newest_tasks(chunk, deal_id)], tasks.PROPERTIES)
    _read_contacts(chunk, needs)
    wanted = [need for need in needs if "account" in need.parts]
    chunk.read(COMPANIES, _known(account_id, chunk, wanted), accounts.PROPERTIES)
    return chunk


def account_id(chunk: Chunk, need: Need) -> str | None:
    """The account of a signal: its own if it is about one, else its deal's, else its contact's."""
    own = need.signal
    if own.domain:
        company = _company_of(chunk, own.domain)
        return company.id if company else None
    deal = chunk.record(DEALS, need.deal_id)
    linked = accounts.primary(chunk.links(DEALS, COMPANIES, deal.id)) if deal and own.deal_id else None
    if linked or own.account_id:
        return linked or own.account_id
    contact = chunk.record(CONTACTS, own.contact_id)
    linked = accounts.primary(chunk.links(DEALS, COMPANIES, deal.id)) if deal else None
    return linked or (text(contact.properties.get("associatedcompanyid")) if contact else None)


def newest_tasks(chunk: Chunk, deal_id: str) -> list[str]:
    """The ids of the tasks of a deal that are looked at; ids grow with time."""
    ids = chunk.linked(DEALS, TASKS, [deal_id])
    return sorted(ids, key=lambda task_id: (len(task_id), task_id), reverse=True)[: tasks.MAX_OPEN]


def _find_accounts(chunk: Chunk, needs: Sequence[Need]) -> None:
    """Look for accounts by their domains, which HubSpot keeps no unique index of: a batch read can't ask for them."""
    chunk.find(str(need.signal.domain) for need in needs)
    for need in needs:
        try:
            company = _company_of(chunk, str(need.signal.domain))
            need.found_account = company.id if company else None
        except RevpipeError as error:
            need.error = error


def _company_of(chunk: Chunk, domain: str) -> Record | None:
    return accounts.best(chunk.found(COMPANIES, "domain", domain))


def _read_changed(chunk: Chunk, needs: Sequence[Need]) -> None:
    asked: dict[str, list[Changed]] = {}
    for change in filter(None, (need.change for need in needs)):
        asked.setdefault(change.object_type, []).append(change)
    for object_type, changes in asked.items():
        if object_type != DEALS:
            names = sorted({change.property for change in changes})
            ids = [change.object_id for change in changes]
            chunk.read(object_type, ids, _PROPERTIES.get(object_type, ()), names)


def _choose_deals(chunk: Chunk, candidates: Chunk, needs: Sequence[Need], stages: Stages) -> None:
    """Find a deal for signals that name none: by their contact, else by their account."""
    by_contact = [need.signal.contact_id for need in needs if need.signal.contact_id]
    chunk.link(CONTACTS, DEALS, by_contact)
    by_account = [need.account_id for need in needs if need.account_id]
    chunk.link(COMPANIES, DEALS, by_account)
    ids = chunk.linked(CONTACTS, DEALS, by_contact) + chunk.linked(COMPANIES, DEALS, by_account)
    candidates.read(DEALS, ids, deals.CHOICE_PROPERTIES)
    for need in needs:
        if need.error:
            continue
        try:
            _choose_deal(chunk, candidates, need, stages)
        except RevpipeError as error:
            need.error = error


def _choose_deal(chunk: Chunk, candidates: Chunk, need: Need, stages: Stages) -> None:
    ways = ((CONTACTS, need.signal.contact_id), (COMPANIES, need.account_id))
    for object_type, record_id in ways:
        linked = chunk.links(object_type, DEALS, record_id) if record_id else []
        found = [deal for deal in (candidates.record(DEALS, link.id) for link in linked) if deal]
        best = deals.best_open(found, stages)
        if best:
            need.deal_id = best.id
            return
        if linked:
            need.no_deal = "no_open_deal"


def _read_deals(chunk: Chunk, needs: Sequence[Need]) -> None:
    ids = [need.deal_id for need in needs if need.deal_id and need.uses_deal]
    changes = [need.change for need in needs if need.change and need.change.object_type == DEALS]
    names = dict.fromkeys((*deals.HISTORY, *sorted(change.property for change in changes)))
    chunk.read(DEALS, [*ids, *(change.object_id for change in changes)], deals.PROPERTIES, list(names))


def _read_links(chunk: Chunk, needs: Sequence[Need]) -> None:
    whole = _deal_ids(chunk, needs, "deal")
    chunk.link(DEALS, COMPANIES, whole + _deal_ids(chunk, needs, "account"))
    chunk.link(DEALS, CONTACTS, whole + _deal_ids(chunk, needs, "contact"))
    chunk.link(DEALS, TASKS, whole)


def _read_contacts(chunk: Chunk, needs: Sequence[Need]) -> None:
    own = [need.signal.contact_id for need in needs if need.parts & {"contact", "account"}]
    deal_ids = _deal_ids(chunk, [need for need in needs if not need.signal.contact_id], "contact")
    around = [chunk.linked(DEALS, CONTACTS, [deal_id])[:MAX_CONTACTS] for deal_id in deal_ids]
    chunk.read(CONTACTS, [*filter(None, own), *(each for some in around for each in some)], contacts.PROPERTIES)


def _deal_ids(chunk: Chunk, needs: Iterable[Need], part: str) -> list[str]:
    """The ids, as the CRM answered them, of the deals of those needs that want `part`."""
    deals_found = _known(_deal, chunk, [need for need in needs if part in need.parts])
    return list(dict.fromkeys(deal.id for deal in deals_found))


def _deal(chunk: Chunk, need: Need) -> Record | None:
    return chunk.record(DEALS, need.deal_id)


def _known(find: Callable[[Chunk, Need], T | None], chunk: Chunk, needs: Iterable[Need]) -> list[T]:
    """What is found for the needs; what can't be known now is told when the need is answered."""
    found = []
    for need in needs:
        try:
            value = find(chunk, need)
        except RevpipeError:
            continue
        if value is not None:
            found.append(value)
    return found
