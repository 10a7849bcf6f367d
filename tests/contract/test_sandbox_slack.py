"""The simulated Slack workspace, called with Slack's own client and by hand."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from adapters.sandbox import wire
from adapters.sandbox.control_client import Control
from adapters.sandbox.server import SandboxServer

DEALS = "C0DEALS01"
META = {"event_type": "revpipe_action", "event_payload": {"action_id": "a1", "version": 1}}


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer() as running:
        yield running


@pytest.fixture
def control(server: SandboxServer) -> Control:
    control = Control(server.url)
    control.reset()
    return control


@pytest.fixture
def slack(control: Control) -> WebClient:
    return WebClient(token="xoxb-sandbox", base_url=f"{control.url}/slack/api/", retry_handlers=[])


def refusal(error: pytest.ExceptionInfo[SlackApiError]) -> str:
    assert error.value.response.status_code == 200
    return str(error.value.response["error"])


def test_a_message_is_posted_and_changed(slack: WebClient, control: Control) -> None:
    posted = slack.chat_postMessage(channel="#deals", text="hello", metadata=META)
    assert posted["channel"] == DEALS
    assert len(posted["ts"].partition(".")[2]) == 6
    slack.chat_update(channel=DEALS, ts=posted["ts"], text="done")
    (message,) = slack.conversations_history(channel=DEALS)["messages"]
    assert (message["text"], message["ts"]) == ("done", posted["ts"])
    assert "edited" in message
    assert [effect["kind"] for effect in control.effects("slack")] == ["message", "update"]
    assert control.effects("slack")[0]["marker"] == "a1"


def test_metadata_is_whole_only_if_asked_for(slack: WebClient) -> None:
    slack.chat_postMessage(channel=DEALS, text="x", metadata=META)
    (bare,) = slack.conversations_history(channel=DEALS)["messages"]
    assert bare["metadata"] == {"event_type": "revpipe_action"}
    (whole,) = slack.conversations_history(channel=DEALS, include_all_metadata=True)["messages"]
    assert whole["metadata"] == META


def test_history_is_newest_first_bounded_and_paged(slack: WebClient) -> None:
    stamps = [slack.chat_postMessage(channel=DEALS, text=str(number))["ts"] for number in range(3)]
    assert len(set(stamps)) == 3
    page = slack.conversations_history(channel=DEALS, limit=2)
    assert [message["ts"] for message in page["messages"]] == [stamps[2], stamps[1]]
    rest = slack.conversations_history(channel=DEALS, limit=2, cursor=page["response_metadata"]["next_cursor"])
    assert [message["ts"] for message in rest["messages"]] == [stamps[0]]
    since = slack.conversations_history(channel=DEALS, oldest=stamps[0])["messages"]
    assert [message["ts"] for message in since] == [stamps[2], stamps[1]]
    including = slack.conversations_history(channel=DEALS, oldest=stamps[0], inclusive=True)["messages"]
    assert len(including) == 3


def test_a_message_can_stay_out_of_the_history_for_a_while(slack: WebClient, control: Control) -> None:
    control.knobs(slack={"history_lag": 60})
    slack.chat_postMessage(channel=DEALS, text="x")
    assert slack.conversations_history(channel=DEALS)["messages"] == []
    assert len(control.effects("slack")) == 1


def test_repeats_are_posted_and_shown(slack: WebClient, control: Control) -> None:
    for _ in range(2):
        slack.chat_postMessage(channel=DEALS, text="x", metadata=META)
    (repeat,) = control.duplicates("slack")
    assert (repeat["marker"], len(repeat["ids"])) == ("a1", 2)


def test_people_are_found_by_address_and_written_to(slack: WebClient) -> None:
    user = slack.users_lookupByEmail(email="Dana@revpipe.example")["user"]["id"]
    posted = slack.chat_postMessage(channel=user, text="psst")
    assert posted["channel"].startswith("D")
    with pytest.raises(SlackApiError) as error:
        slack.users_lookupByEmail(email="nobody@revpipe.example")
    assert refusal(error) == "users_not_found"


def test_auth_test_tells_who_the_token_is(slack: WebClient) -> None:
    assert slack.auth_test()["team_id"] == "T0SANDBOX"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ({"channel": "C0CLOSED1", "text": "x"}, "not_in_channel"),
        ({"channel": "C0OLDDEAL", "text": "x"}, "is_archived"),
        ({"channel": DEALS, "text": ""}, "no_text"),
        ({"channel": DEALS, "text": "x" * 40_001}, "msg_too_long"),
    ],
)
def test_a_message_can_be_refused(slack: WebClient, control: Control, given: dict[str, str], code: str) -> None:
    with pytest.raises(SlackApiError) as error:
        slack.api_call("chat.postMessage", json=given)
    assert refusal(error) == code
    assert control.effects() == []


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(**more: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": "Go"}, **more}


@pytest.mark.parametrize(
    "blocks",
    [
        [section("x" * 3001)],
        [section("")],
        [section("x")] * 51,
        [{"type": "section"}],
        [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}],
        [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        [{"type": "context", "elements": []}],
        [{"type": "actions", "elements": [button(action_id="a"), button(action_id="a")]}],
        [{"type": "actions", "elements": [button(value="x" * 2001)]}],
        [{"type": "actions", "elements": [button(style="loud")]}],
        [section("x") | {"block_id": "b"}, section("y") | {"block_id": "b"}],
        [{"type": "poem"}],
    ],
)
def test_blocks_over_a_limit_are_refused(slack: WebClient, blocks: list[dict[str, Any]]) -> None:
    with pytest.raises(SlackApiError) as error:
        slack.chat_postMessage(channel=DEALS, text="x", blocks=blocks)
    assert refusal(error) == "invalid_blocks"
    assert error.value.response["response_metadata"]["messages"]


def test_blocks_within_the_limits_are_kept(slack: WebClient) -> None:
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}},
        section("x" * 3000),
        {"type": "divider"},
        {
            "type": "actions",
            "elements": [button(action_id="a", value="v", style="primary"), button(url="https://x.test")],
        },
    ]
    assert slack.chat_postMessage(channel=DEALS, text="x", blocks=blocks)["message"]["blocks"] == blocks


def test_update_wants_an_id_and_an_existing_message(slack: WebClient) -> None:
    posted = slack.chat_postMessage(channel=DEALS, text="x")
    with pytest.raises(SlackApiError) as error:
        slack.chat_update(channel="#deals", ts=posted["ts"], text="y")
    assert refusal(error) == "channel_not_found"
    with pytest.raises(SlackApiError) as error:
        slack.chat_update(channel=DEALS, ts="1.000000", text="y")
    assert refusal(error) == "message_not_found"


def test_one_message_a_second_and_channel(slack: WebClient, control: Control) -> None:
    control.knobs(slack={"messages_per_second": 1})
    slack.chat_postMessage(channel=DEALS, text="x")
    slack.chat_postMessage(channel="C0ALERTS1", text="x")
    with pytest.raises(SlackApiError) as error:
        slack.chat_postMessage(channel=DEALS, text="x")
    assert error.value.response.status_code == 429
    assert error.value.response["error"] == "ratelimited"
    assert error.value.response.headers["Retry-After"] == "1"


@pytest.mark.parametrize(("token", "code"), [("", "not_authed"), ("xoxb-other", "invalid_auth")])
def test_the_token_is_checked(control: Control, token: str, code: str) -> None:
    answer = wire.send_json(
        "POST", f"{control.url}/slack/api/auth.test", {}, {"Authorization": f"Bearer {token}"} if token else {}
    )
    assert (answer.status, answer.json()) == (200, {"ok": False, "error": code})


def test_arguments_may_come_as_a_form_or_in_the_query(control: Control) -> None:
    form = {"token": "xoxb-sandbox", "channel": DEALS, "blocks": '[{"type": "divider"}]', "text": "x"}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    url = f"{control.url}/slack/api/chat.postMessage"
    posted = wire.send("POST", url, urlencode(form).encode(), kind).json()
    assert posted["message"]["blocks"] == [{"type": "divider"}]
    query = urlencode({"token": "xoxb-sandbox", "channel": DEALS, "limit": "5"})
    found = wire.send("GET", f"{control.url}/slack/api/conversations.history?{query}").json()
    assert len(found["messages"]) == 1


def test_an_unknown_method_is_told(slack: WebClient) -> None:
    with pytest.raises(SlackApiError) as error:
        slack.api_call("chat.whisper")
    assert refusal(error) == "unknown_method"
