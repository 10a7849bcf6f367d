"""Messages on the queue that this release can't read."""

from celery import Celery

from config.settings import load
from tasks.app import make_app
from tests.e2e.conftest import System
from tests.e2e.ledger_view import Row
from tests.e2e.processes import until


def _publisher(running: System) -> Celery:
    return make_app(load(running.ledger.urls))


def test_a_message_of_an_unknown_version_becomes_a_dead_letter_and_the_worker_lives(running: System) -> None:
    app = _publisher(running)
    try:
        sent = [app.send_task("enrich", args=[message], queue="enrich.high").id for message in _ODD]
    finally:
        app.close()

    def buried() -> list[Row] | None:
        keys = [f"message:{one}" for one in sent]
        found = running.ledger.rows("SELECT * FROM dead_letters WHERE letter_key = ANY(:keys)", keys=keys)
        return found if len(found) == len(sent) else None

    letters = until(buried, "a dead letter for each odd message")
    assert {(one["stage"], one["queue"], one["reason"]) for one in letters} == {
        ("enrich", "enrich.high", "unreadable_message")
    }
    assert b'{"v": 99}' in {bytes(one["message"]) for one in letters}
    (deal,) = running.vendors.overdue_deals(1)
    running.door.hubspot(running.vendors.edit(deal, amount="9700"))
    assert running.ledger.all_ended([deal], 1)[0]["disposition"] == "acted"


_ODD: list[object] = [{"v": 99}, "no object", {"v": 1, "send": 1, "ids": ["no id"]}]
