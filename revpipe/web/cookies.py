"""The cookies that we set: never read by a script, never sent along with another site's requests but links."""

from typing import Final

from flask import Response, request

from revpipe.web.current import services

SESSION: Final = "session"
FORM: Final = "form"
PROVIDER: Final = "provider"


def secure() -> bool:
    """Whether browsers reach us by https only."""
    return (services().settings.public_url or "").startswith("https://")


def name(kind: str) -> str:
    """Its name; with `__Host-` a browser takes it from this very host only, and never over plain http."""
    return f"__Host-revpipe-{kind}" if secure() else f"revpipe-{kind}"


def read(kind: str) -> str | None:
    """What the browser sent."""
    return request.cookies.get(name(kind)) or None


def write(response: Response, kind: str, value: str, seconds: int | None = None) -> None:
    """Have the browser keep it, for `seconds` or until it is closed."""
    response.set_cookie(name(kind), value, max_age=seconds, path="/", secure=secure(), httponly=True, samesite="Lax")


def forget(response: Response, kind: str) -> None:
    """Have the browser forget it."""
    response.delete_cookie(name(kind), path="/", secure=secure(), httponly=True, samesite="Lax")
