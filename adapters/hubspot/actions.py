"""The action adapter: tasks and property updates in HubSpot."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from adapters.hubspot import create_task, update_crm
from adapters.hubspot import params as checks
from adapters.hubspot.client import BATCH, HubSpotClient, HubSpotSettings
from revpipe.errors import Permanent, RevpipeError
from revpipe.ports import Effect, Gate, Order

Outcomes = dict[uuid.UUID, Effect | RevpipeError]
_PERFORM: Final[Mapping[str, Callable[[HubSpotClient, Sequence[Order]], Outcomes]]] = {
    "create_task": create_task.perform,
    "update_crm": update_crm.perform,
}
_FIND: Final[Mapping[str, Callable[[HubSpotClient, Order], Effect | None]]] = {
    "create_task": create_task.find,
    "update_crm": update_crm.find,
}


class HubSpotActions:
    """Carries out `create_task` and `update_crm`.

    A task bears a marker in its body by which it is found again; an update sets absolute values.
    """

    name = "hubspot"
    types = tuple(_PERFORM)
    batch = BATCH
    settle = timedelta(seconds=30)
    """A created record hangs on its deal at once; the rest is for a request that lands after we gave up on it."""

    def __init__(self, client: HubSpotClient) -> None:
        self._client = client

    def check(self, type: str, params: Mapping[str, Any]) -> None:
        """Raise Permanent with a sentence naming the parameter that is missing, unknown or ill-typed."""
        checks.check(type, params)

    def perform(self, orders: Sequence[Order]) -> Mapping[uuid.UUID, Effect | RevpipeError]:
        """Carry out at most `batch` orders; each has its own outcome, and nothing is raised for one of them."""
        outcomes: Outcomes = {}
        sound: dict[str, list[Order]] = {}
        for order in orders:
            try:
                checks.check(order.type, order.params)
            except Permanent as error:
                outcomes[order.action_id] = error
            else:
                sound.setdefault(order.type, []).append(order)
        for type, same_type in sound.items():
            outcomes |= _PERFORM[type](self._client, same_type)
        return outcomes

    def find(self, order: Order) -> Effect | None:
        """The effect of an earlier try, None if there surely is none. Raises EffectUnknown if unsure."""
        checks.check(order.type, order.params)
        return _FIND[order.type](self._client, order)


def build_actions(settings: HubSpotSettings, gate: Gate) -> HubSpotActions:
    """The action adapter for the account that the settings name."""
    return HubSpotActions(HubSpotClient(settings, gate))
