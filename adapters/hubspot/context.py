"""The context provider: what HubSpot knows about a signal's deal, account and contact, and what changed."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from adapters.hubspot import gather
from adapters.hubspot.accounts import PROPERTIES, account_value, primary
from adapters.hubspot.changes import change_value
from adapters.hubspot.chunk import COMPANIES, CONTACTS, DEALS, TASKS, Chunk
from adapters.hubspot.client import FRESH, HubSpotClient, HubSpotSettings, is_id
from adapters.hubspot.contacts import champion, contact_value
from adapters.hubspot.deals import Surroundings, deal_value, stage_key
from adapters.hubspot.gather import MAX_CONTACTS, Need
from adapters.hubspot.owners import Owner, Owners
from adapters.hubspot.pipelines import Pipelines, Stages
from adapters.hubspot.searching import OURS, Searches
from adapters.hubspot.tasks import open_tasks
from adapters.hubspot.values import text
from revpipe.errors import RevpipeError, Transient
from revpipe.ports import Gate, Part, Parts
from revpipe.signals import Signal

Found = tuple[Mapping[str, Any] | None, str | None]
"""A part's value, and why there is none."""


@dataclass(frozen=True, slots=True)
class Around:
    """What deals refer to and the process remembers, or the error that kept it from being known."""

    owners: Mapping[str, Owner]
    stages: Stages
    error: RevpipeError | None = None


class HubSpotProvider:
    """Adds the parts `deal`, `change`, `account` and `contact`, a whole chunk at a time."""

    name = "hubspot"
    parts = ("deal", "change", "account", "contact")

    def __init__(
        self,
        client: HubSpotClient,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        portal_id: str | None = None,
    ) -> None:
        self._client = client
        self._searches = Searches(client, COMPANIES, "domain", PROPERTIES)
        self._portal_id = portal_id
        self._now = now
        self._owners = Owners(client)
        self._pipelines = Pipelines(client)

    def fetch(
        self, signals: Sequence[Signal], wanted: Mapping[uuid.UUID, frozenset[str]]
    ) -> Mapping[uuid.UUID, Parts | RevpipeError]:
        """The parts wanted of each signal; one that could not be read is incomplete and has its error.

        A record that is not there is no error (`missing` is `not_found`), unless its event is so fresh that
        HubSpot may not show it yet: then the signal's answer is a Transient. Raised is what keeps the pipelines
        from being known, without which no deal is understood.
        """
        needs = [
            Need(signal, wanted.get(signal.signal_id, frozenset()) & set(self.parts), signal.deal_id)
            for signal in signals
        ]
        about_deals = any(need.uses_deal for need in needs)
        chunk = gather.gather(self._client, self._searches, needs, self._pipelines.known() if about_deals else {})
        around = self._around(chunk) if about_deals else Around({}, {})
        fetched_at = self._now()
        return {need.signal.signal_id: self._answer(chunk, around, need, fetched_at) for need in needs}

    def _around(self, chunk: Chunk) -> Around:
        deals = chunk.records(DEALS)
        owners = {text(deal.properties.get("hubspot_owner_id")) for deal in deals}
        try:
            return Around(
                self._owners.known(owner_id for owner_id in owners if owner_id),
                self._pipelines.known({stage_key(deal) for deal in deals}),
            )
        except RevpipeError as error:
            if error.code == OURS:
                raise
            return Around({}, {}, error)

    def _answer(self, chunk: Chunk, around: Around, need: Need, fetched_at: datetime) -> Parts | RevpipeError:
        finders: Mapping[str, Callable[[Chunk, Need], Found]] = {
            "deal": partial(_deal, around, self._portal_id or _portal_of(need.signal)),
            "change": _change,
            "account": _account,
            "contact": _contact,
        }
        try:
            _check_fresh(chunk, need, fetched_at)
        except RevpipeError as error:
            return error
        wanted = [name for name in self.parts if name in need.parts]
        return {name: self._part(name, finders[name], chunk, need, fetched_at) for name in wanted}

    def _part(
        self, name: str, find: Callable[[Chunk, Need], Found], chunk: Chunk, need: Need, fetched_at: datetime
    ) -> Part:
        try:
            if need.error and need.hangs_on_deal(name):
                raise need.error
            value, missing = find(chunk, need)
        except RevpipeError as error:
            return Part(name, self.name, fetched_at, None, complete=False, missing=error.code, error=error)
        return Part(name, self.name, fetched_at, value, missing=missing)


def build_provider(settings: HubSpotSettings, gate: Gate) -> HubSpotProvider:
    """The provider for the account that the settings name."""
    return HubSpotProvider(HubSpotClient(settings, gate), portal_id=settings.hubspot_portal_id)


def _check_fresh(chunk: Chunk, need: Need, now: datetime) -> None:
    signal, change = need.signal, need.change
    if signal.event.endswith(("deleted", "merged")) or now - signal.fired_at > FRESH:
        return
    own = [(DEALS, signal.deal_id), (COMPANIES, signal.account_id), (CONTACTS, signal.contact_id)]
    own += [(change.object_type, change.object_id)] if change else []
    for object_type, record_id in own:
        if record_id and is_id(record_id) and chunk.lacks(object_type, record_id):
            raise Transient(f"hubspot does not show {object_type} {record_id} yet")


def _portal_of(signal: Signal) -> str | None:
    """The account that HubSpot itself named in its event."""
    return text((signal.payload.get("vendor") or {}).get("portal_id"))


def _deal(around: Around, portal_id: str | None, chunk: Chunk, need: Need) -> Found:
    if need.deal_id is None:
        return None, need.no_deal
    deal = chunk.record(DEALS, need.deal_id)
    if deal is None:
        return None, "not_found"
    if around.error:
        raise around.error
    tasks = (chunk.record(TASKS, task_id) for task_id in gather.newest_tasks(chunk, deal.id))
    surroundings = Surroundings(
        account_id=primary(chunk.links(DEALS, COMPANIES, deal.id)),
        contact_ids=[link.id for link in chunk.links(DEALS, CONTACTS, deal.id)],
        open_tasks=open_tasks(filter(None, tasks)),
        owner=around.owners.get(text(deal.properties.get("hubspot_owner_id")) or ""),
    )
    url = f"https://app.hubspot.com/contacts/{portal_id}/record/0-3/{deal.id}" if portal_id else None
    return {**deal_value(deal, surroundings, around.stages), "url": url}, None


def _change(chunk: Chunk, need: Need) -> Found:
    change = need.change
    if change is None:
        return None, "no_history" if "property" in need.signal.payload else "not_a_change"
    record = chunk.record(change.object_type, change.object_id)
    if record is None:
        return None, "not_found"
    entries = record.history.get(change.property, ())
    return (change_value(need.signal, change.property, entries), None) if entries else (None, "no_history")


def _account(chunk: Chunk, need: Need) -> Found:
    account_id = gather.account_id(chunk, need)
    company = chunk.record(COMPANIES, account_id)
    if company is None:
        return None, "not_found" if account_id or need.signal.domain else "no_association"
    return account_value(company), None


def _contact(chunk: Chunk, need: Need) -> Found:
    own = need.signal.contact_id
    deal = None if own else chunk.record(DEALS, need.deal_id)
    linked = [link.id for link in chunk.links(DEALS, CONTACTS, deal.id)][:MAX_CONTACTS] if deal else []
    ids = [own] if own else linked
    contact = champion([found for found in (chunk.record(CONTACTS, each) for each in ids) if found])
    if contact is None:
        return None, "not_found" if ids else "no_association"
    return contact_value(contact), None
