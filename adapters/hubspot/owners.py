"""Owners: the people that deals belong to, read once in a while for the whole account."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adapters.hubspot.cache import Cached, knowing
from adapters.hubspot.client import OWNERS, HubSpotClient
from adapters.hubspot.values import text


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
        return knowing(self._cached, ids)

    def _load(self) -> Mapping[str, Owner]:
        owners = {}
        for item in self._client.pages(OWNERS, limit=100):
            owner_id = text(item.get("id"))
            names = (text(item.get("firstName")), text(item.get("lastName")))
            if owner_id:
                owners[owner_id] = Owner(owner_id, text(item.get("email")), " ".join(filter(None, names)) or None)
        return owners
