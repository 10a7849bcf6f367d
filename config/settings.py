"""What differs between deployments, read once from the environment. Nothing else reads it."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class SettingsError(Exception):
    """One or more variables are missing or wrong; the text names each, what it is for and where to get it."""


def _text(value: str) -> str:
    return value.strip()


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _url(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must be an http:// or https:// URL")
    return value.strip().rstrip("/")


def _database_url(value: str) -> str:
    value = value.strip()
    for prefix in ("postgres://", "postgresql://"):
        if value.startswith(prefix):
            return "postgresql+psycopg://" + value.removeprefix(prefix)
    if value.startswith("postgresql+psycopg://"):
        return value
    raise ValueError("must start with postgresql://")


def _broker_url(value: str) -> str:
    if not value.strip().startswith(("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")):
        raise ValueError("must start with redis://, rediss://, amqp:// or amqps://")
    return value.strip()


def _redis_url(value: str) -> str:
    if not value.strip().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return value.strip()


def _flag(value: str) -> bool:
    word = value.strip().lower()
    if word not in ("1", "true", "yes", "on", "0", "false", "no", "off", ""):
        raise ValueError("must be true or false")
    return word in ("1", "true", "yes", "on")


def _lease(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 3 <= seconds <= 300:
        raise ValueError("must be a number of seconds from 3 to 300")
    return seconds


def _scale(value: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not 1 <= factor <= 1000:
        raise ValueError("must be a number from 1 to 1000")
    return factor


def _calls(value: str) -> int:
    if not value.strip().isdecimal() or not 10 <= int(value) <= 100_000:
        raise ValueError("must be a whole number of calls from 10 to 100000")
    return int(value)


def _path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def _channel(value: str) -> str:
    if not re.fullmatch(r"[CGD][A-Z0-9]{5,20}", value.strip()):
        raise ValueError("must be a channel's id, such as C0123456789, not its name")
    return value.strip()


def _versions(value: str) -> tuple[str, ...]:
    words = _list(value)
    unknown = set(words) - {"v1", "v2"}
    if unknown:
        raise ValueError("may name v1 and v2 only")
    return words


def _setting(default: Any, read: Callable[[str], Any], purpose: str, where: str = "", *, secret: bool = False) -> Any:
    return field(default=default, metadata={"read": read, "purpose": purpose, "where": where}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. The variable of a field is its name in capitals."""

    database_url: str | None = _setting(
        None,
        _database_url,
        "the PostgreSQL that holds the ledger",
        "Heroku sets it; without it an embedded server is started",
        secret=True,
    )
    redis_url: str | None = _setting(
        None,
        _redis_url,
        "the Redis or Valkey for messages, rates and circuits",
        "Heroku sets it; without it an embedded server is started",
        secret=True,
    )
    broker_url: str | None = _setting(
        None,
        _broker_url,
        "the message broker, if it is not REDIS_URL",
        "any other Redis or Valkey of yours, or a RabbitMQ (amqp:// or amqps://)",
        secret=True,
    )
    revpipe_data_dir: Path = _setting(
        Path(".revpipe").absolute(), _path, "the folder of the embedded servers", "any folder of yours"
    )
    redis_tls_verify: bool = _setting(
        True,
        _flag,
        "whether the certificate behind a rediss:// URL is checked",
        "false for Heroku's Key-Value Store, whose certificates are self-signed",
    )
    public_url: str | None = _setting(
        None,
        _url,
        "the address under which vendors reach this web process; their signatures cover it",
        "your app's https address, without a path",
    )
    secret_key: str | None = _setting(
        None, _text, "signs sessions and links; not read yet", "make one with: openssl rand -hex 32", secret=True
    )
    sentry_dsn: str | None = _setting(
        None, _text, "where errors are reported", "Sentry, Settings > Client Keys", secret=True
    )
    hubspot_client_secret: tuple[str, ...] = _setting(
        (),
        _list,
        "checks HubSpot's webhook signatures; several, comma-separated, while rotating",
        "HubSpot, your app > Auth > Client secret",
        secret=True,
    )
    hubspot_access_token: str | None = _setting(
        None,
        _text,
        "reads and writes the CRM",
        "HubSpot, your app > Auth > Access token, or a service key",
        secret=True,
    )
    hubspot_app_id: str | None = _setting(
        None, _text, "recognises our own writes when HubSpot reports them back", "HubSpot, your app's id"
    )
    hubspot_portal_id: str | None = _setting(
        None, _text, "the one HubSpot account served; events of another are buried", "HubSpot, account menu"
    )
    hubspot_calls_per_10s: int = _setting(
        190,
        _calls,
        "how many calls HubSpot allows in 10 seconds; about a tenth of them is left to others with the same token",
        "your plan's limit for private apps: 100 on Free and Starter, 250 with the API add-on",
    )
    hubspot_base_url: str = _setting("https://api.hubapi.com", _url, "HubSpot's API")
    hubspot_legacy_signatures: tuple[str, ...] = _setting(
        (), _versions, "older signature versions that are accepted when v3 is absent (v1, v2)"
    )
    gong_webhook_public_key: str | None = _setting(
        None,
        _text,
        "checks Gong's signed webhooks; PEM, or its base64 line",
        "Gong, Admin center > Automation rules > your rule > Show public key",
    )
    gong_competitor_trackers: tuple[str, ...] = _setting(
        ("Competitors", "Competitor"),
        _list,
        "names or ids of the trackers that mean a competitor was mentioned",
        "Gong, Admin center > Trackers",
    )
    gong_base_url: str = _setting("https://api.gong.io", _url, "Gong's API; not read yet")
    gong_access_key: str | None = _setting(None, _text, "reads Gong's API; not read yet", "Gong, API page", secret=True)
    gong_access_key_secret: str | None = _setting(
        None, _text, "reads Gong's API; not read yet", "Gong, API page", secret=True
    )
    slack_bot_token: str | None = _setting(
        None, _text, "posts alerts", "Slack, your app > OAuth & Permissions > Bot token", secret=True
    )
    slack_default_channel: str | None = _setting(
        None, _channel, "the channel id for alerts whose rule names none", "Slack, channel details > Channel ID"
    )
    slack_base_url: str = _setting("https://slack.com/api/", lambda v: _url(v) + "/", "Slack's API")
    import_tokens: tuple[str, ...] = _setting(
        (),
        _list,
        "lets a script send files to /imports/…; several, comma-separated, while rotating",
        "make one with: openssl rand -hex 32",
        secret=True,
    )
    llm_provider: str = _setting(
        "none", _text, "who decides what rules leave open: anthropic, openai, none; not read yet"
    )
    log_format: str = _setting("json", _text, "json for machines, console for people")
    database_prepared: bool = _setting(
        True, _flag, "whether statements are prepared; false behind a pooler that shares connections"
    )

    revpipe_lease_seconds: float = _setting(
        30.0, _lease, "after how many seconds without a sign of life a worker's rows go to another one"
    )
    revpipe_time_scale: float = _setting(
        1.0, _scale, "for rehearsals only: waits for vendors are this many times shorter (40: a minute is 40 minutes)"
    )
    revpipe_crash_point: str | None = _setting(
        None, _text, "for crash tests only: the process kills itself at the named place"
    )

    @property
    def broker(self) -> str | None:
        """The URL that Celery connects to; it spells a Unix socket in its own way."""
        url = self.broker_url or self.redis_url
        if url and url.startswith("unix://"):
            return url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")
        return self._with_tls(url)

    @property
    def is_amqp(self) -> bool:
        """Whether messages travel through RabbitMQ."""
        return (self.broker or "").startswith(("amqp://", "amqps://"))

    @property
    def redis(self) -> str | None:
        """The URL of the Redis for rates and circuits, with what its certificate needs."""
        return self._with_tls(self.redis_url)

    def _with_tls(self, url: str | None) -> str | None:
        """Celery checks no certificate unless told to, redis-py checks each: here both do as the setting says."""
        if url is None or not url.startswith("rediss://") or "ssl_cert_reqs" in url:
            return url
        return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs={'required' if self.redis_tls_verify else 'none'}"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environ` (the process environment by default). Raises SettingsError naming all faults."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    faults: list[str] = []
    for item in fields(Settings):
        raw = environ.get(item.name.upper())
        if raw is None or not raw.strip():
            continue
        try:
            values[item.name] = item.metadata["read"](raw)
        except ValueError as error:
            faults.append(_sentence(item.name, f"is wrong: it {error}"))
    settings = Settings(**values)
    if settings.llm_provider not in ("anthropic", "openai", "none"):
        faults.append(_sentence("llm_provider", "is wrong: it must be anthropic, openai or none"))
    if settings.log_format not in ("json", "console"):
        faults.append(_sentence("log_format", "is wrong: it must be json or console"))
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def require(settings: Settings, *names: str) -> None:
    """Raise SettingsError for those of `names` (fields) that are not set."""
    faults = [_sentence(name, "is not set") for name in names if not getattr(settings, name)]
    if faults:
        raise SettingsError("\n".join(faults))


def _sentence(name: str, fault: str) -> str:
    metadata = next(item.metadata for item in fields(Settings) if item.name == name)
    where = f" Get it from: {metadata['where']}." if metadata["where"] else ""
    return f"{name.upper()} {fault}. It is for: {metadata['purpose']}.{where}"
