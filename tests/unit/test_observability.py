"""Logs are JSON, carry the correlation id and hold no personal data; the same goes for what Sentry gets."""

import json
import logging
import sys
import time
import uuid
from dataclasses import dataclass

import pytest
import sentry_sdk
import structlog
from sentry_sdk.transport import Transport

from config.settings import Settings
from revpipe.observability import bind_correlation, configure, correlation_id
from revpipe.redaction import redact, scrub

MAIL = "ann.lee@acme.example"
ADDRESS = "192.0.2.7"
SECRET = "q1w2e3r4"
TOKENS = ("xoxb-123456-abcdef", "pat-na1-0a1b2c3d-4e5f", "sk-ant-REDACTED", "eyJhbGciOi.payload.sig")


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers, level, logs = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**logs)


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_structlog_and_stdlib_lines_have_one_shape(capsys):
    configure(Settings(), "keeper")
    trace = uuid.uuid4()
    with bind_correlation(trace):
        structlog.get_logger("revpipe.x").info("stage done", ids=3)
        logging.getLogger("other.y").warning("library says %s", "hi", extra={"queue": "enrich.high"})
    structlog.get_logger("revpipe.x").debug("below the level")
    ours, theirs = lines(capsys)
    assert ours["event"] == "stage done"
    assert ours["ids"] == 3
    assert theirs["event"] == "library says hi"
    assert theirs["queue"] == "enrich.high"
    for line, level, name in ((ours, "info", "revpipe.x"), (theirs, "warning", "other.y")):
        assert line["correlation_id"] == str(trace)
        assert line["process"] == "keeper"
        assert (line["level"], line["logger"]) == (level, name)
        assert line["timestamp"].endswith("Z")


def test_the_id_is_bound_only_within(capsys):
    configure(Settings(), "keeper")
    with bind_correlation("outer"):
        with bind_correlation("inner"):
            assert correlation_id() == "inner"
        assert correlation_id() == "outer"
    assert correlation_id() is None
    structlog.get_logger().info("free")
    assert "correlation_id" not in lines(capsys)[0]


def fail():
    with bind_correlation("c-42"):
        raise ValueError(f"no such person: {MAIL}")


def test_an_error_logged_outside_still_names_its_id_and_hides_its_text(capsys):
    configure(Settings(), "keeper")
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("task failed")
        logging.getLogger("celery").exception("task failed")
    for line in lines(capsys):
        assert line["correlation_id"] == "c-42"
        assert "Traceback" in line["exception"]
        assert "no such person: [redacted]" in line["exception"]


def test_nothing_personal_is_logged(capsys):
    configure(Settings(), "keeper")

    @dataclass
    class Person:
        mail: str

    structlog.get_logger().info(
        f"wrote to {MAIL}",
        people=[Person(MAIL), {"deep": {MAIL: MAIL}}],
        headers={"Authorization": "Basic abc", "X-Api-Key": "abc", "Retry-After": "3"},
        raw=f"q=ann%40acme.example {' '.join(TOKENS[:3])} Bearer {TOKENS[3]}",
        tokens=17,
        ratio=float("nan"),
    )
    text = capsys.readouterr().err
    line = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert "acme" not in text
    assert "abc" not in text
    assert not [token for token in TOKENS if token in text]
    assert line["headers"]["Retry-After"] == "3"
    assert line["tokens"] == 17


class Unprintable:
    def __str__(self):
        raise RuntimeError(MAIL)


def test_a_line_that_can_not_be_written_leaks_nothing(capsys):
    configure(Settings(), "keeper")
    structlog.get_logger("revpipe.x").info("about to fail", who=MAIL, what=Unprintable())
    [line] = lines(capsys)
    assert line == {"event": "a log line could not be written", "logger": "revpipe.x", "reason": "RuntimeError"}


def test_console_lines_are_redacted_too(capsys):
    configure(Settings(log_format="console"), "web")
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("task failed", who=MAIL)
    text = capsys.readouterr().err
    assert "task failed" in text
    assert "c-42" in text
    assert "acme" not in text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("redis://user:pw@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("Bearer abcdef.ghi-1", "Bearer [redacted]"),
        ("deal 42 moved @ 10:00", "deal 42 moved @ 10:00"),
        ("the basic subscription", "the basic subscription"),
        ("import-module pattern-x desk-lamp-for-everyone", "import-module pattern-x desk-lamp-for-everyone"),
    ],
)
def test_scrub_takes_secrets_and_leaves_the_rest(text, clean):
    assert scrub(text) == clean


def test_scrub_is_quick_on_long_texts_of_strangers():
    start = time.perf_counter()
    scrub("a" * 200_000 + "://" + "b" * 200_000 + "@" + "c." * 50_000)
    assert time.perf_counter() - start < 5


def test_redact_ends_for_what_contains_itself():
    loop: dict = {}
    loop["self"] = loop
    assert "[redacted]" in json.dumps(redact(loop))


class Capturing(Transport):
    def __init__(self):
        super().__init__()
        self.envelopes = []

    def capture_envelope(self, envelope):
        self.envelopes.append(envelope)


@pytest.fixture
def sentry():
    configure(Settings(sentry_dsn="http://public@127.0.0.1:9/1"), "act")
    client = sentry_sdk.get_client()
    client.transport.kill()
    client.transport = Capturing()
    with sentry_sdk.isolation_scope():
        yield client
    client.close(timeout=0)
    sentry_sdk.get_global_scope().clear()
    sentry_sdk.get_global_scope().set_client(None)


def sent(client):
    whole = b"".join(envelope.serialize() for envelope in client.transport.envelopes).decode()
    return [event for envelope in client.transport.envelopes if (event := envelope.get_event())], whole


def test_a_captured_error_has_its_id_and_nothing_personal(sentry):
    sentry_sdk.add_breadcrumb(category="http", message=f"GET {MAIL}", data={"url": f"/c?email={MAIL}"})
    sentry_sdk.get_isolation_scope().add_event_processor(
        lambda event, hint: {
            **event,
            "request": {"url": f"/x?e={MAIL}", "data": MAIL, "headers": {"Authorization": f"Bearer {SECRET}"}},
            "user": {"email": MAIL, "ip_address": ADDRESS},
        }
    )
    try:
        fail()
    except ValueError as error:
        sentry_sdk.capture_exception(error)
    [event], whole = sent(sentry)
    assert event["tags"] == {"correlation_id": "c-42", "process": "act"}
    assert event["release"].startswith("revpipe@0.")
    assert event["exception"]["values"][0]["value"] == "no such person: [redacted]"
    assert all("vars" not in frame for frame in event["exception"]["values"][0]["stacktrace"]["frames"])
    assert event["breadcrumbs"]["values"][0]["message"] == "GET [redacted]"
    for secret in ("acme", ADDRESS, SECRET):
        assert secret not in whole


def test_a_logged_error_keeps_its_words_and_its_traceback(sentry):
    structlog.get_logger("revpipe.keeper").info("round begun", who=MAIL)
    with bind_correlation("c-7"):
        structlog.get_logger("revpipe.keeper").error("circuit opened", vendor="slack", who=MAIL, token=SECRET)
    try:
        fail()
    except ValueError:
        structlog.get_logger("revpipe.keeper").exception("round failed")
    (opened, failed), whole = sent(sentry)
    assert opened["logentry"]["message"] == "circuit opened"
    assert opened["extra"]["vendor"] == "slack"
    assert opened["tags"]["correlation_id"] == "c-7"
    assert opened["breadcrumbs"]["values"][-1]["message"] == "round begun"
    assert failed["exception"]["values"][0]["type"] == "ValueError"
    assert failed["tags"]["correlation_id"] == "c-42"
    assert "acme" not in whole
    assert SECRET not in whole


def test_sentry_is_set_up_once_and_only_with_a_dsn(sentry):
    configure(Settings(sentry_dsn="http://public@127.0.0.1:9/1"), "act")
    assert sentry_sdk.get_client() is sentry


def test_without_a_dsn_there_is_no_sentry():
    configure(Settings(), "web")
    assert not sentry_sdk.is_initialized()
    assert sys.stderr is logging.getLogger().handlers[0].stream
