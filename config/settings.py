"""What differs between deployments, read once from the environment. Nothing else reads it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from config import readers
from config.readers import broker_url as _broker_url
from config.readers import calls as _calls
from config.readers import channel as _channel
from config.readers import database_url as _database_url
from config.readers import flag as _flag
from config.readers import lease as _lease
from config.readers import path as _path
from config.readers import redis_url as _redis_url
from config.readers import scale as _scale
from config.readers import text as _text
from config.readers import url as _url
from config.readers import versions as _versions
from config.readers import words as _list


class SettingsError(Exception):
    """One or more variables are missing or wrong; the text names each, what it is for and where to get it."""


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
        None, _text, "signs forms and sign-ins; needed with https", "make one with: openssl rand -hex 32", secret=True
    )
    oidc_issuer: str | None = _setting(
        None,
        _url,
        "the OpenID provider that people sign in by, beside passwords and links",
        "your provider; for Google it is https://accounts.google.com",
    )
    oidc_client_id: str | None = _setting(None, _text, "what your OpenID provider calls this app", "your provider")
    oidc_client_secret: str | None = _setting(
        None, _text, "what this app shows your OpenID provider", "your provider", secret=True
    )
    oidc_name: str = _setting("single sign-on", _text, "what the sign-in page calls your OpenID provider")
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
    slack_signing_secret: tuple[str, ...] = _setting(
        (),
        _list,
        "checks what Slack sends when a button is pressed; several, comma-separated, while rotating",
        "Slack, your app > Basic Information > Signing Secret",
        secret=True,
    )
    slack_app_id: str | None = _setting(
        None, _text, "the one Slack app whose buttons count", "Slack, your app > Basic Information > App ID"
    )
    slack_team_id: str | None = _setting(
        None, _text, "the one workspace whose buttons count", "Slack in a browser: the T… in its address"
    )
    smtp_url: str | None = _setting(
        None,
        readers.smtp_url,
        "sends requests for approval by e-mail",
        "your mail provider: smtp://USER:PASSWORD@HOST:587, or smtps:// for port 465",
        secret=True,
    )
    mail_from: str | None = _setting(None, readers.mail_address, "the address that these e-mails come from")
    approval_ways: tuple[str, ...] = _setting(
        ("slack", "channel", "email"),
        readers.ways,
        "how an approver is asked: the next way only where the last does not reach them; channel is the default one",
    )
    import_tokens: tuple[str, ...] = _setting(
        (),
        _list,
        "lets a script send files to /imports/…; several, comma-separated, while rotating",
        "make one with: openssl rand -hex 32",
        secret=True,
    )
    llm_provider: str = _setting(
        "none", _text, "who decides what rules leave open: anthropic, openai, none (then nobody is asked)"
    )
    anthropic_api_key: str | None = _setting(
        None,
        _text,
        "lets Claude decide what rules leave open, with LLM_PROVIDER=anthropic",
        "Anthropic, Console > API keys",
        secret=True,
    )
    anthropic_base_url: str = _setting("https://api.anthropic.com", _url, "Anthropic's API")
    openai_api_key: str | None = _setting(
        None,
        _text,
        "as ANTHROPIC_API_KEY, with LLM_PROVIDER=openai; any text will do for a server without keys",
        "OpenAI, Platform > API keys",
        secret=True,
    )
    openai_base_url: str = _setting(
        "https://api.openai.com/v1", _url, "OpenAI's API, or any server that speaks its Chat Completions"
    )
    api_calls_per_minute: int = _setting(600, _calls, "how many calls of /api/v1 one token may make in a minute")
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
