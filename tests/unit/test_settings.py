"""Settings: read once, checked, and faults told by name all at once."""

from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings, SettingsError, load, require


def test_nothing_set_gives_the_defaults() -> None:
    assert load({}) == Settings()
    assert load({"DATABASE_URL": " ", "PUBLIC_URL": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("DATABASE_URL", "postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("DATABASE_URL", "postgresql://h/d", "postgresql+psycopg://h/d"),
        ("DATABASE_URL", "postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("REDIS_URL", " rediss://h:1/0 ", "rediss://h:1/0"),
        ("BROKER_URL", "amqp://u:p@h:1/v", "amqp://u:p@h:1/v"),
        ("PUBLIC_URL", "https://x.example/", "https://x.example"),
        ("SLACK_BASE_URL", "http://127.0.0.1:1/api", "http://127.0.0.1:1/api/"),
        ("HUBSPOT_CLIENT_SECRET", "old, new,,", ("old", "new")),
        ("HUBSPOT_LEGACY_SIGNATURES", "v1,v2", ("v1", "v2")),
        ("DATABASE_PREPARED", "False", False),
        ("DATABASE_PREPARED", "on", True),
        ("LLM_PROVIDER", "openai", "openai"),
        ("REVPIPE_DATA_DIR", "/tmp/x", Path("/tmp/x")),
    ],
)
def test_a_value_is_read(name: str, raw: str, value: object) -> None:
    assert getattr(load({name: raw}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "raw", "complaint"),
    [
        ("DATABASE_URL", "mysql://h/d", "must start with postgresql://"),
        ("REDIS_URL", "http://h", "must start with redis://"),
        ("BROKER_URL", "kafka://h", "must start with redis://"),
        ("REDIS_URL", "amqp://h", "must start with redis://"),
        ("PUBLIC_URL", "x.example", "must be an http:// or https:// URL"),
        ("PUBLIC_URL", "https://", "must be an http:// or https:// URL"),
        ("HUBSPOT_LEGACY_SIGNATURES", "v3", "v1 and v2 only"),
        ("DATABASE_PREPARED", "perhaps", "must be true or false"),
        ("LLM_PROVIDER", "oracle", "anthropic, openai or none"),
        ("LOG_FORMAT", "xml", "json or console"),
    ],
)
def test_a_wrong_value_is_told_by_name_and_purpose(name: str, raw: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        load({name: raw})
    assert str(caught.value).startswith(f"{name} is wrong")
    assert "It is for:" in str(caught.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"DATABASE_URL": "x", "PUBLIC_URL": "y", "LOG_FORMAT": "z"})
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["DATABASE_URL", "PUBLIC_URL", "LOG_FORMAT"]


def test_what_is_missing_is_told_with_where_to_get_it() -> None:
    with pytest.raises(SettingsError) as caught:
        require(
            Settings(slack_default_channel="C1"), "slack_bot_token", "slack_default_channel", "hubspot_client_secret"
        )
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == ["SLACK_BOT_TOKEN", "HUBSPOT_CLIENT_SECRET"]
    assert all("is not set" in line and "Get it from:" in line for line in lines)
    require(Settings(slack_bot_token="x"), "slack_bot_token")


def test_no_secret_is_shown() -> None:
    secret = "s3cret-" + "x" * 8
    named = [
        item.name
        for item in fields(Settings)
        if any(word in item.name for word in ("secret", "token", "database_url", "redis_url", "access_key", "dsn"))
    ]
    assert len(named) >= 8
    values: dict[str, Any] = dict.fromkeys(named, secret)
    settings = replace(Settings(), **values)
    assert settings.hubspot_access_token == secret
    assert secret not in repr(settings)


def test_settings_are_never_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().log_format = "console"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("redis", "broker", "expected"),
    [
        (None, None, None),
        ("redis://h/0", None, "redis://h/0"),
        ("redis://h/0", "redis://b/1", "redis://b/1"),
        ("redis://h/0", "amqps://u:p@b/v", "amqps://u:p@b/v"),
        ("unix:///run/s.sock?db=2", None, "redis+socket:///run/s.sock?virtual_host=2"),
    ],
)
def test_the_broker_is_redis_unless_another_is_named(
    redis: str | None, broker: str | None, expected: str | None
) -> None:
    assert Settings(redis_url=redis, broker_url=broker).broker == expected
