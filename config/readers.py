"""How the text of an environment variable becomes a value. Each raises ValueError, saying what the value must be."""

import re
from email.headerregistry import Address
from pathlib import Path
from urllib.parse import urlsplit


def text(value: str) -> str:
    """Any text, without the blanks round it."""
    return value.strip()


def words(value: str) -> tuple[str, ...]:
    """Texts between commas."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def url(value: str) -> str:
    """A web address, without the slash at its end."""
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must be an http:// or https:// URL")
    return value.strip().rstrip("/")


def database_url(value: str) -> str:
    """A PostgreSQL, as SQLAlchemy writes it."""
    value = value.strip()
    for prefix in ("postgres://", "postgresql://"):
        if value.startswith(prefix):
            return "postgresql+psycopg://" + value.removeprefix(prefix)
    if value.startswith("postgresql+psycopg://"):
        return value
    raise ValueError("must start with postgresql://")


def broker_url(value: str) -> str:
    """A message broker of either kind."""
    if not value.strip().startswith(("redis://", "rediss://", "redis+socket://", "amqp://", "amqps://")):
        raise ValueError("must start with redis://, rediss://, amqp:// or amqps://")
    return value.strip()


def redis_url(value: str) -> str:
    """A Redis or Valkey."""
    if not value.strip().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return value.strip()


def flag(value: str) -> bool:
    """Yes or no."""
    word = value.strip().lower()
    if word not in ("1", "true", "yes", "on", "0", "false", "no", "off", ""):
        raise ValueError("must be true or false")
    return word in ("1", "true", "yes", "on")


def lease(value: str) -> float:
    """How long a claim holds, in seconds."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 3 <= seconds <= 300:
        raise ValueError("must be a number of seconds from 3 to 300")
    return seconds


def scale(value: str) -> float:
    """How many times faster time runs."""
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not 1 <= factor <= 1000:
        raise ValueError("must be a number from 1 to 1000")
    return factor


def calls(value: str) -> int:
    """A number of calls."""
    if not value.strip().isdecimal() or not 10 <= int(value) <= 100_000:
        raise ValueError("must be a whole number of calls from 10 to 100000")
    return int(value)


def path(value: str) -> Path:
    """A file or folder, from the root on."""
    return Path(value).expanduser().absolute()


def channel(value: str) -> str:
    """A conversation of Slack, by its id."""
    if not re.fullmatch(r"[CGD][A-Z0-9]{5,20}", value.strip()):
        raise ValueError("must be a channel's id, such as C0123456789, not its name")
    return value.strip()


def versions(value: str) -> tuple[str, ...]:
    """Older versions of HubSpot's signature."""
    named = words(value)
    unknown = set(named) - {"v1", "v2"}
    if unknown:
        raise ValueError("may name v1 and v2 only")
    return named


def smtp_url(value: str) -> str:
    """A mail server: smtps:// speaks TLS from the start, smtp:// must be told to before anything else is said."""
    parts = urlsplit(value.strip())
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("must be smtp://USER:PASSWORD@HOST:PORT or smtps://…")
    return value.strip()


def mail_address(value: str) -> str:
    """One e-mail address, without a name."""
    try:
        found = Address(addr_spec=value.strip())
    except Exception as error:
        raise ValueError("must be one e-mail address, such as approvals@example.com") from error
    if not found.username or "." not in found.domain:
        raise ValueError("must be one e-mail address, such as approvals@example.com")
    return value.strip()


def ways(value: str) -> tuple[str, ...]:
    """By which ways approvers are asked, in this order."""
    named = words(value)
    if not named or set(named) - {"slack", "channel", "email"}:
        raise ValueError("must be some of slack, channel and email, comma-separated, the first to be tried in front")
    return named
