"""The params that the manual lists are the ones that the adapters take."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from adapters.drafts.actions import DraftActions
from adapters.hubspot import params as hubspot
from adapters.slack.actions import SlackActions
from adapters.slack.client import SlackClient
from revpipe.errors import Permanent, RevpipeError
from revpipe.rules.action_params import PARAMS


class SilentGate:
    """Checking params sends nothing."""

    def spend(self, vendor: str, kind: str) -> None:
        raise AssertionError("a check calls nobody")

    def report(self, vendor: str, kind: str, error: RevpipeError | None) -> None:
        raise AssertionError("a check calls nobody")


SLACK = SlackActions(SlackClient("xoxb-1", "http://127.0.0.1:9/api/", SilentGate()), None)
CHECKS: dict[str, Callable[[str, Mapping[str, Any]], None]] = {
    "create_task": hubspot.check,
    "update_crm": hubspot.check,
    "send_alert": SLACK.check,
    "draft_followup": DraftActions().check,
}
LISTED = [(kind, name) for kind, params in PARAMS.items() for name in params]


def minimal(kind: str) -> dict[str, Any]:
    return {name: param.example for name, param in PARAMS[kind].items() if param.needed}


def test_every_type_of_action_is_listed() -> None:
    assert set(PARAMS) == set(CHECKS)


@pytest.mark.parametrize(("kind", "name"), LISTED)
def test_a_listed_param_is_taken(kind: str, name: str) -> None:
    CHECKS[kind](kind, minimal(kind))
    CHECKS[kind](kind, {**minimal(kind), name: PARAMS[kind][name].example})


@pytest.mark.parametrize(("kind", "name"), LISTED)
def test_a_listed_param_is_looked_at(kind: str, name: str) -> None:
    with pytest.raises(Permanent):
        CHECKS[kind](kind, {**minimal(kind), name: object()})


@pytest.mark.parametrize("kind", PARAMS)
def test_a_param_that_is_not_listed_is_refused(kind: str) -> None:
    known = {name for params in PARAMS.values() for name in params} | {"nonsense"}
    for name in known - set(PARAMS[kind]):
        with pytest.raises(Permanent, match=name):
            CHECKS[kind](kind, {**minimal(kind), name: "x"})


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in LISTED if PARAMS[kind][name].needed])
def test_an_action_without_a_needed_param_is_refused(kind: str, name: str) -> None:
    params = minimal(kind)
    del params[name]
    with pytest.raises(Permanent, match=name):
        CHECKS[kind](kind, params)
