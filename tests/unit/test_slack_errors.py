"""What Slack's error codes mean to us, and which params of an alert are refused."""

import pytest

from adapters.slack.actions import SlackActions
from adapters.slack.client import MissingScope, SlackClient, error_in
from revpipe.errors import CredentialsRefused, Permanent, RateLimited, Transient


def said(code, *, safe=False, headers=(), **more):
    return error_in("chat.postMessage", {"ok": False, "error": code, **more}, dict(headers), safe=safe)


@pytest.mark.parametrize("code", ["ratelimited", "rate_limited"])
def test_rate_limits_keep_their_wait(code):
    error = said(code, headers={"Retry-After": "17"})
    assert type(error) is RateLimited
    assert error.retry_after == 17
    assert not error.ambiguous


@pytest.mark.parametrize("code", ["internal_error", "fatal_error", "request_timeout", "service_unavailable"])
def test_their_trouble_is_ambiguous_for_a_post_but_not_for_a_read(code):
    assert type(said(code)) is Transient
    assert said(code).ambiguous
    assert not said(code, safe=True).ambiguous


@pytest.mark.parametrize("code", ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"])
def test_bad_tokens_are_refused_credentials(code):
    assert type(said(code)) is CredentialsRefused


def test_a_missing_scope_is_named():
    error = said("missing_scope", needed="chat:write")
    assert type(error) is MissingScope
    assert "chat:write" in str(error)
    assert type(said("missing_scope", needed="channels:history", safe=True)) is Permanent


@pytest.mark.parametrize(
    ("code", "advice"),
    [("not_in_channel", "invite the bot"), ("channel_not_found", "id"), ("is_archived", "archived")],
)
def test_the_rest_is_permanent_and_says_what_to_do(code, advice):
    error = said(code)
    assert type(error) is Permanent
    assert advice in str(error)


def test_unknown_and_malformed_errors_are_permanent_with_slacks_own_words():
    error = said("invalid_blocks", response_metadata={"messages": ["[ERROR] too long [json-pointer:/blocks/0]"]})
    assert type(error) is Permanent
    assert "json-pointer:/blocks/0" in str(error)
    assert type(error_in("x", {"ok": False}, {}, safe=True)) is Permanent


class SilentGate:
    def spend(self, vendor, kind):
        raise AssertionError("check must not call anybody")

    def report(self, vendor, kind, error):
        raise AssertionError("check must not call anybody")


@pytest.fixture
def actions():
    return SlackActions(SlackClient("xoxb-1", "http://127.0.0.1:9/api/", SilentGate()), None)


@pytest.mark.parametrize(
    "params",
    [
        {"title": "T", "text": "x"},
        {"title": "T", "text": "", "channel": None, "fields": None, "link": None},
        {"title": "T", "text": "x", "channel": "#deals", "fields": {"A": 1}, "link": "https://a.example"},
    ],
)
def test_good_params_pass(actions, params):
    assert actions.check("send_alert", params) is None


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"text": "x"}, "title"),
        ({"title": "  ", "text": "x"}, "title"),
        ({"title": "T", "text": 3}, "text"),
        ({"title": "T", "fields": ["a"]}, "fields"),
        ({"title": "T", "link": 1}, "link"),
        ({"title": "T", "channel": ["C1"]}, "channel"),
        ({"title": "T", "chanel": "C1"}, "chanel"),
    ],
)
def test_bad_params_are_permanent_and_named(actions, params, word):
    with pytest.raises(Permanent, match=word):
        actions.check("send_alert", params)


def test_another_type_is_refused(actions):
    with pytest.raises(Permanent, match="create_task"):
        actions.check("create_task", {"title": "T"})
