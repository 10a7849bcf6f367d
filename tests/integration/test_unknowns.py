"""A person's word on what nobody could tell."""

import pytest

from revpipe import unknowns
from revpipe.db import transaction
from revpipe.errors import EffectUnknown, Permanent
from revpipe.services import Services
from tests.integration.ledger_fixtures import FakeAdapter, call, one, put, run_act, run_to, signal_row, trail_of


@pytest.fixture
def doubtful(services: Services, hubspot: FakeAdapter) -> Services:
    """A ledger in which the task of signal `a` is unknown; its alert is not for this queue and stays ready."""
    hubspot.script = lambda order: EffectUnknown("no way to look")
    put(services, call("a"))
    run_to(services, "execute")
    run_act(services)
    return services


def _task(services: Services) -> dict[str, object]:
    return one(services, "SELECT * FROM actions WHERE type = 'create_task'")


def test_the_list_names_what_is_unknown_and_nothing_else(doubtful: Services) -> None:
    with transaction(doubtful.engine) as tx:
        found = unknowns.listing(tx)
    assert [row["action_id"] for row in found] == [_task(doubtful)["action_id"]]


@pytest.mark.parametrize(("happened", "state"), [(True, "done"), (False, "cancelled")])
def test_a_person_s_word_ends_the_doubt_and_stands_in_the_trail(doubtful: Services, happened: bool, state: str) -> None:
    action_id = _task(doubtful)["action_id"]
    assert unknowns.settle(doubtful, action_id, happened=happened) == state
    row = _task(doubtful)
    assert (row["state"], row["maybe_done"], row["reason"]) == (state, False, "settled_by_person")
    assert trail_of(doubtful, "a").count("looked") == 1
    with pytest.raises(Permanent, match="is not in `unknown`"):
        unknowns.settle(doubtful, action_id, happened=happened)


def test_the_signal_ends_with_its_last_action(doubtful: Services) -> None:
    with transaction(doubtful.engine) as tx:
        tx.exec_driver_sql("UPDATE actions SET state = 'suppressed', queue = NULL WHERE state = 'ready'")
    assert signal_row(doubtful, "a")["disposition"] is None
    unknowns.settle(doubtful, _task(doubtful)["action_id"], happened=True)
    assert signal_row(doubtful, "a")["disposition"] == "acted"


def test_what_did_not_happen_can_be_planned_again(doubtful: Services) -> None:
    unknowns.settle(doubtful, _task(doubtful)["action_id"], happened=False)
    put(doubtful, call("b"))
    run_to(doubtful, "execute")
    again = "SELECT state FROM actions WHERE type = 'create_task' AND signal_id = :id"
    assert one(doubtful, again, id=signal_row(doubtful, "b")["signal_id"]) == {"state": "ready"}
