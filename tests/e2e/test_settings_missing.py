"""What is not configured, or gone: a worker does not start, an endpoint fails closed, nothing is half done."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.sandbox import wire
from revpipe.local.sockets import free_port
from tests import rabbitmq_server
from tests.e2e.conftest import System
from tests.e2e.crm_side import Doorstep
from tests.e2e.preloaded import process, run
from tests.e2e.processes import until

NOBODY = "postgresql://nobody@127.0.0.1:1/none"
NO_REDIS = "redis://127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("queue", "settings", "named"),
    [
        ("enrich", {}, "HUBSPOT_ACCESS_TOKEN"),
        ("execute.hubspot", {"SLACK_BOT_TOKEN": "x"}, "HUBSPOT_ACCESS_TOKEN"),
        ("execute.slack", {"SLACK_DEFAULT_CHANNEL": "C0123456789"}, "SLACK_BOT_TOKEN"),
        ("execute.slack", {"SLACK_BOT_TOKEN": "x"}, "SLACK_DEFAULT_CHANNEL"),
    ],
)
def test_a_worker_without_its_own_setting_does_not_start(
    queue: str, settings: dict[str, str], named: str, tmp_path: Path
) -> None:
    nowhere = {"DATABASE_URL": NOBODY, "REDIS_URL": NO_REDIS, "REVPIPE_DATA_DIR": str(tmp_path)}
    done = run({**nowhere, **settings}, "worker", queue)
    assert done.returncode == 2
    assert f"{named} is not set" in done.stderr
    assert done.stderr.count(" is not set") == 1
    assert "Traceback" not in done.stderr


@contextmanager
def _web(running: System, settings: Mapping[str, str]) -> Iterator[Doorstep]:
    """A second web process; what it is sent was signed for the first one's public address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = running.folder.parent / f"web-{port}.log"
    with process({"PUBLIC_URL": running.url, **settings}, log, "web", "--port", str(port), "--processes", "1"):
        until(lambda: _answers(url), "the second web process")
        yield Doorstep(url, running.vendors, running.url)


def _answers(url: str) -> bool:
    try:
        return wire.send("GET", f"{url}/healthz").status == 200
    except OSError:
        return False


def test_without_a_secret_an_endpoint_refuses_everything(running: System) -> None:
    with _web(running, running.ledger.urls) as door:
        (deal,) = running.vendors.overdue_deals(1)
        answer = door.hubspot(running.vendors.edit(deal, amount="9900"))
        assert (answer.status, answer.json()["title"]) == (503, "Not configured")
        assert int(answer.headers["retry-after"]) > 0
        assert door.gong(running.vendors.call(deal)).status == 503
        assert running.ledger.signals_of([deal]) == []


def test_without_a_database_the_sender_is_asked_to_come_again(running: System) -> None:
    urls = {"DATABASE_URL": NOBODY, "REDIS_URL": running.ledger.redis_url}
    with _web(running, {**running.vendors.web_settings(running.url), **urls}) as door:
        (deal,) = running.vendors.overdue_deals(1)
        answer = door.hubspot(running.vendors.edit(deal, amount="9910"))
        assert (answer.status, answer.json()["title"]) == (503, "Unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert wire.send("GET", f"{door.url}/readyz").status == 503
        assert door.hubspot_bytes(b"[]", {}).status == 401


def no_broker() -> str:
    """Where no broker of the kind that these tests run on is to be found."""
    return "amqp://nobody@127.0.0.1:1//" if rabbitmq_server.wanted() else NO_REDIS


def test_without_a_broker_a_webhook_is_taken_and_the_keeper_sends_it(running: System) -> None:
    urls = {"DATABASE_URL": running.ledger.database_url, "REDIS_URL": NO_REDIS, "BROKER_URL": no_broker()}
    with _web(running, {**running.vendors.web_settings(running.url), **urls}) as door:
        (deal,) = running.vendors.overdue_deals(1)
        answer = door.hubspot(running.vendors.edit(deal, amount="9920"))
        assert (answer.status, answer.json()["accepted"]) == (202, 1)
        assert running.ledger.all_ended([deal], 1)[0]["disposition"] == "acted"
        ready = wire.send("GET", f"{door.url}/readyz")
        assert (ready.status, ready.json()["database"]) == (200, "ok")
        assert ready.json()["broker"] != "ok"
