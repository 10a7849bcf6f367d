"""Drafts of follow-ups: kept in the ledger with their action and shown to the rep; nothing leaves revpipe."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from revpipe.errors import Permanent, RevpipeError
from revpipe.ports import Effect, Gate, Order

_PARAMS: Final = frozenset({"to", "subject", "body"})
_KEPT: Final = Effect(detail={"kept": True})


class DraftActions:
    """Carries out `draft_followup`: the draft is the action's own params, so there is nothing left to write."""

    name = "drafts"
    types = ("draft_followup",)
    batch = 100
    settle = timedelta(0)

    def check(self, type: str, params: Mapping[str, Any]) -> None:
        """Raise Permanent, saying what to change, if the params are no draft."""
        if type not in self.types:
            raise Permanent(f"drafts does not know the action type {type!r}; it knows {', '.join(self.types)}")
        if unknown := sorted(set(params) - _PARAMS):
            raise Permanent(f"draft_followup has no {', '.join(unknown)}; it takes {', '.join(sorted(_PARAMS))}")
        for name in ("subject", "body"):
            value = params.get(name)
            if not isinstance(value, str) or not value.strip():
                raise Permanent(f"draft_followup needs a {name}: a text that is not empty")
        if params.get("to") is not None and not isinstance(params["to"], str):
            raise Permanent("draft_followup's to must be an e-mail address, or left out")

    def perform(self, orders: Sequence[Order]) -> Mapping[uuid.UUID, Effect | RevpipeError]:
        """Say of each draft that it is kept, or why it is none."""
        return {order.action_id: self._keep(order) for order in orders}

    def find(self, order: Order) -> Effect | None:  # noqa: ARG002 - every draft is found: it is the order itself
        """The effect of keeping; it is the same however often it was tried."""
        return _KEPT

    def _keep(self, order: Order) -> Effect | RevpipeError:
        try:
            self.check(order.type, order.params)
        except Permanent as error:
            return error
        return _KEPT


def build_actions(_settings: object, _gate: Gate) -> DraftActions:
    """The adapter; it needs no settings and calls nobody."""
    return DraftActions()
