"""What we send to Slack, over real HTTP: accepted by its OpenAPI file and its SDK's models; and what we make
of its answers.
"""

import json
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.models.metadata import Metadata

from adapters.sandbox.server import SandboxServer
from adapters.slack.actions import build_actions
from revpipe.errors import CredentialsRefused, EffectUnknown, Permanent, RateLimited, Transient
from revpipe.ports import Effect, Order

SPEC = json.loads((Path(__file__).parent / "specs/slack/slack_web_openapi_v2.cut.json").read_text())
NEWER = {"/chat.postMessage": {"metadata"}, "/conversations.history": {"include_all_metadata"}}
"""Parameters that Slack documents, but that came after its last OpenAPI file."""
TRIED = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PARAMS = {
    "title": "Deal slipped & <!channel>",
    "text": "Close date moved\nby 30 days",
    "fields": {"Stage": "Negotiation", "Amount": 50000.0},
    "link": "https://app.example.com/deals/1?a=1&b=2",
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        sent = json.loads(body) if body else dict(parse_qsl(parts.query))
        path = parts.path.removeprefix("/api")
        self.server.seen.append((self.command, path, dict(self.headers), sent))
        status, headers, said = self.server.script.pop(0)
        if status is None:
            self.close_connection = True
            return
        raw = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture
def slack():
    """The far side: it keeps what it saw, and gives the answers of `script` in order."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen, server.script = [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Gate:
    """Lets everything pass and remembers it."""

    def __init__(self):
        self.spent, self.reported = [], []

    def spend(self, vendor, kind):
        self.spent.append((vendor, kind))

    def report(self, vendor, kind, error):
        self.reported.append(error)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def actions(slack, gate):
    return build_actions(settings(slack), gate)


def settings(slack, token="xoxb-test", channel="C0DEFAULT"):
    return SimpleNamespace(
        slack_bot_token=token,
        slack_default_channel=channel,
        slack_base_url=f"http://127.0.0.1:{slack.server_port}/api/",
    )


def order(**params):
    return Order(
        action_id=uuid.UUID("01970000-0000-7000-8000-000000000042"),
        type="send_alert",
        params={**PARAMS, **params},
        correlation_id=uuid.uuid4(),
        deal_id="1",
        account_id=None,
        contact_id=None,
        attempt=2,
        created_at=TRIED - timedelta(hours=1),
        first_tried_at=TRIED,
    )


def posted(channel="C0DEFAULT", ts="1777896000.000100"):
    return 200, {}, {"ok": True, "channel": channel, "ts": ts, "message": {}}


def refused(code, **headers):
    return 200, headers, {"ok": False, "error": code}


def page(*messages, cursor=None, has_more=None):
    said = {"ok": True, "messages": list(messages), "has_more": bool(cursor) if has_more is None else has_more}
    return 200, {}, said | ({"response_metadata": {"next_cursor": cursor}} if cursor else {})


def message(key, ts="1777896000.000100", event_type="revpipe_action"):
    return {"ts": ts, "metadata": {"event_type": event_type, "event_payload": {"action_id": key}}}


def outcome(actions, wanted):
    return actions.perform([wanted])[wanted.action_id]


def check_against_spec(method, path, sent):
    """Every key is a parameter there, every required one is sent, and the types agree."""
    known = {item["name"]: item for item in SPEC["paths"][path][method.lower()]["parameters"]}
    newer = NEWER.get(path, set())
    assert not newer & set(known), "the file knows them after all"
    assert set(sent) <= set(known) | newer
    required = {name for name, item in known.items() if item.get("required") and item["in"] != "header"}
    assert required <= set(sent)
    for name, value in sent.items():
        if name in known:
            assert fits(value, known[name]["type"], as_text=method == "GET"), name


def fits(value, kind, as_text):
    if as_text:
        tests = {"boolean": ("true", "false").__contains__, "integer": str.isdigit, "number": float}
        return kind == "string" or tests[kind](value) is not False
    # What a form would hold as JSON text (blocks), a JSON body holds as it is.
    return isinstance(value, {"boolean": bool, "string": str | list, "integer": int}[kind])


def test_a_post_is_what_slacks_openapi_file_allows(slack, actions, gate):
    slack.script.append(posted())
    assert outcome(actions, order()) == Effect(
        external_id="1777896000.000100", detail={"channel": "C0DEFAULT", "ts": "1777896000.000100"}
    )
    [(method, path, headers, sent)] = slack.seen
    assert (method, path) == ("POST", "/chat.postMessage")
    assert headers["Authorization"] == "Bearer xoxb-test"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    check_against_spec(method, path, sent)
    assert sent["text"].startswith("Deal slipped &amp; &lt;!channel&gt;")
    assert (sent["unfurl_links"], sent["unfurl_media"]) == (False, False)
    assert gate.spent == [("slack", "post:C0DEFAULT")]


def test_a_posts_blocks_and_metadata_are_what_slacks_sdk_would_send(slack, actions):
    slack.script.append(posted())
    wanted = order(title="T" * 400, text="x" * 9000, fields={f"F{n}": "y" * 4000 for n in range(40)})
    outcome(actions, wanted)
    sent = slack.seen[0][3]
    blocks = Block.parse_all(sent["blocks"])
    for block in blocks:
        block.validate_json()
    assert [block.to_dict() for block in blocks] == sent["blocks"]
    metadata = Metadata(**sent["metadata"])
    metadata.validate_json()
    assert metadata.to_dict() == {"event_type": "revpipe_action", "event_payload": {"action_id": wanted.key}}


def test_a_rules_own_channel_comes_before_the_default(slack, actions, gate):
    slack.script += [posted("C777"), posted()]
    assert outcome(actions, order(channel="#deals")).detail["channel"] == "C777"
    outcome(actions, order(channel="  "))
    assert [sent["channel"] for *_, sent in slack.seen] == ["#deals", "C0DEFAULT"]
    assert gate.spent[0] == ("slack", "post:#deals")


@pytest.mark.parametrize(
    ("answer", "kind", "ambiguous"),
    [
        (refused("internal_error"), Transient, True),
        (refused("service_unavailable"), Transient, True),
        ((503, {}, b"upstream"), Transient, True),
        ((200, {}, b"<html>"), Transient, True),
        ((200, {}, [1]), Transient, True),
        ((200, {}, {"ok": True}), Transient, True),
        ((None, {}, b""), Transient, True),
        (refused("ratelimited", **{"Retry-After": "7"}), RateLimited, False),
        ((429, {"Retry-After": "7"}, {"ok": False, "error": "ratelimited"}), RateLimited, False),
    ],
)
def test_a_post_that_failed_for_now_says_whether_it_may_have_arrived(slack, actions, answer, kind, ambiguous):
    slack.script.append(answer)
    error = outcome(actions, order())
    assert type(error) is kind
    assert error.ambiguous is ambiguous
    assert getattr(error, "retry_after", 7) == 7
    assert len(slack.seen) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [("not_in_channel", Permanent), ("invalid_auth", CredentialsRefused), ("invalid_blocks", Permanent)],
)
def test_a_refusal_inside_a_200_reaches_the_gate(slack, actions, gate, code, kind):
    slack.script.append(refused(code))
    error = outcome(actions, order())
    assert type(error) is kind
    assert gate.reported[-1] is error


def test_without_a_token_or_a_channel_nobody_is_called(slack, gate):
    assert isinstance(outcome(build_actions(settings(slack, token=None), gate), order()), CredentialsRefused)
    assert isinstance(outcome(build_actions(settings(slack, channel=None), gate), order()), Permanent)
    assert isinstance(outcome(build_actions(settings(slack), gate), order(title="")), Permanent)
    assert slack.seen == []


def test_a_post_whose_answer_was_lost_is_found(slack, actions):
    wanted = order()
    slack.script += [(None, {}, b""), page(message("other", "3.1"), message(wanted.key, "2.1"), {"ts": "1.1"})]
    assert outcome(actions, wanted).ambiguous
    assert actions.find(wanted) == Effect(external_id="2.1", detail={"channel": "C0DEFAULT", "ts": "2.1"})


def test_the_search_reads_every_page_from_just_before_the_first_try(slack, actions, gate):
    wanted = order(channel="G0PRIVATE")
    slack.script += [page(message("other"), cursor="next=="), page(message(wanted.key, "5.5"))]
    assert actions.find(wanted).external_id == "5.5"
    for method, path, headers, sent in slack.seen:
        assert (method, path) == ("GET", "/conversations.history")
        assert headers["Authorization"] == "Bearer xoxb-test"
        check_against_spec(method, path, sent)
        assert sent["channel"] == "G0PRIVATE"
        assert sent["include_all_metadata"] == "true"
        assert 0 < TRIED.timestamp() - float(sent["oldest"]) <= 300
    assert [sent.get("cursor") for *_, sent in slack.seen] == [None, "next=="]
    assert gate.spent == [("slack", "history")] * 2


def test_the_search_ends_some_time_after_the_last_call(slack, actions):
    """What a busy channel said since is not read."""
    last = TRIED + timedelta(hours=3)
    slack.script += [page({"ts": "1.1"}, cursor="next=="), page(), page()]
    actions.find(replace(order(), tried_at=last))
    actions.find(order())
    for method, path, _, sent in slack.seen:
        check_against_spec(method, path, sent)
    first, second, endless = (sent for *_, sent in slack.seen)
    assert first["latest"] == second["latest"]
    assert actions.settle.total_seconds() < float(first["latest"]) - last.timestamp() <= 300
    assert float(first["oldest"]) < TRIED.timestamp()
    assert "latest" not in endless


class MeteredGate(Gate):
    """Gives a few tokens at once and then each one only when it is asked for the second time."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens, self.refused = tokens, 0

    def spend(self, vendor, kind):
        if self.tokens == 0:
            self.tokens, self.refused = 1, self.refused + 1
            raise RateLimited("no token", retry_after=0.05)
        self.tokens -= 1
        super().spend(vendor, kind)


def test_a_search_of_many_pages_waits_for_its_tokens_and_goes_on_where_it_stood(slack):
    gate, wanted = MeteredGate(tokens=5), order()
    slack.script += [page(cursor=str(number)) for number in range(1, 9)] + [page(message(wanted.key, "5.5"))]
    assert build_actions(settings(slack), gate).find(wanted).external_id == "5.5"
    assert [sent.get("cursor") for *_, sent in slack.seen] == [None, *map(str, range(1, 9))]
    assert gate.refused == 4


def test_a_post_without_a_token_is_not_waited_for(slack):
    gate = MeteredGate(tokens=0)
    assert type(outcome(build_actions(settings(slack), gate), order())) is RateLimited
    assert (gate.refused, slack.seen) == (1, [])


def test_a_history_read_to_its_end_without_the_key_means_none(slack, actions):
    wanted = order()
    slack.script.append(page(message("other"), message(wanted.key, event_type="someone_elses"), {"ts": "1.1"}))
    assert actions.find(wanted) is None


@pytest.mark.parametrize(
    "answer",
    [
        refused("missing_scope"),
        refused("not_in_channel"),
        refused("channel_not_found"),
        page(has_more=True),
        page({"ts": "1.1", "metadata": {"event_type": "revpipe_action"}}),
    ],
)
def test_a_history_that_can_not_be_read_leaves_the_effect_unknown(slack, actions, answer):
    slack.script.append(answer)
    with pytest.raises(EffectUnknown):
        actions.find(order())


def test_a_history_without_end_leaves_the_effect_unknown(slack, actions):
    slack.script += [page(cursor=str(number)) for number in range(50)]
    with pytest.raises(EffectUnknown):
        actions.find(order())


@pytest.mark.parametrize("channel", ["#deals", "deals", "U0123456", "@ann"])
def test_a_channel_without_a_readable_history_leaves_the_effect_unknown(slack, actions, channel):
    with pytest.raises(EffectUnknown):
        actions.find(order(channel=channel))
    assert slack.seen == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused("invalid_auth"), CredentialsRefused),
        (refused("internal_error"), Transient),
        (refused("ratelimited"), RateLimited),
    ],
)
def test_a_search_that_fails_for_now_is_no_answer(slack, actions, answer, kind):
    slack.script.append(answer)
    with pytest.raises(kind) as caught:
        actions.find(order())
    assert not getattr(caught.value, "ambiguous", False)


@pytest.fixture
def sandbox():
    with SandboxServer() as running:
        yield running


def test_an_alert_stands_once_in_the_simulated_workspace_though_its_answer_was_cut_off(sandbox, gate):
    place = SimpleNamespace(
        slack_bot_token=sandbox.world.slack.knobs.token,
        slack_default_channel="C0DEALS01",
        slack_base_url=f"{sandbox.url}/slack/api/",
    )
    actions = build_actions(place, gate)
    now = datetime.now(UTC)
    wanted = replace(order(), created_at=now, first_tried_at=now, tried_at=now)
    assert actions.find(wanted) is None
    sandbox.world.faults.add({"vendor": "slack", "kind": "malformed", "count": 1})
    assert outcome(actions, wanted).ambiguous
    [message] = sandbox.world.slack.channels["C0DEALS01"].messages
    assert actions.find(wanted).external_id == message["ts"]
    assert outcome(actions, replace(wanted, params={**PARAMS, "channel": "C0CLOSED1"})).code == "permanent"
