"""Owners: the people that deals belong to, read once in a while for the whole account."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from adapters.hubspot.cache import Cached
from adapters.hubspot.client import OWNERS, HubSpotClient
from adapters.hubspot.values import text

MAX_AGE: Final = 300.0
UNKNOWN_MAX_AGE: Final = 60.0
"""An owner we don't know may be new: then a list older than this is read again."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One person; `id` is what `hubspot_owner_id` holds (not the user id)."""

    id: str
    email: str | None
    name: str | None


class Owners:
    """The account's owners by id (HubSpot docs, owners)."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client
        self._cached = Cached(self._load)

    def known(self, ids: Iterable[str]) -> Mapping[str, Owner]:
        """The account's owners, `ids` among them unless they have left."""
        owners = self._cached.get(MAX_AGE)
        return owners if owners.keys() >= set(ids) else self._cached.get(UNKNOWN_MAX_AGE)

    def _load(self) -> Mapping[str, Owner]:
        owners = {}
        for item in self._client.pages(OWNERS, limit=100):
            owner_id = text(item.get("id"))
            names = (text(item.get("firstName")), text(item.get("lastName")))
            if owner_id:
                owners[owner_id] = Owner(owner_id, text(item.get("email")), " ".join(filter(None, names)) or None)
        return owners
