"""What an adapter is told of an action, from the action's row."""

import uuid
from datetime import UTC, datetime, timedelta

from revpipe.act import order_of
from revpipe.schemas.versions import VERSIONS

CREATED = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def row(**more):
    return {
        "schema_version": VERSIONS["action"],
        "action_id": uuid.uuid4(),
        "type": "send_alert",
        "params": {"title": "T"},
        "correlation_id": uuid.uuid4(),
        "deal_id": "1",
        "account_id": None,
        "contact_id": None,
        "attempts": 3,
        "created_at": CREATED,
        "first_tried_at": None,
        "tried_at": None,
        **more,
    }


def test_an_order_tells_the_first_and_the_last_call():
    first, last = CREATED + timedelta(minutes=1), CREATED + timedelta(hours=2)
    order = order_of(row(first_tried_at=first, tried_at=last))
    assert (order.first_tried_at, order.tried_at, order.attempt) == (first, last, 3)


def test_an_order_that_was_never_tried_tells_no_call():
    order = order_of(row())
    assert (order.first_tried_at, order.tried_at) == (None, None)
