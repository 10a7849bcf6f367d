"""What every answer tells the browser about what it may do with it."""

from typing import Final

from flask import Flask, Response

from revpipe.web import cookies

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Scripts, styles and images of ours only, none of them within a page; nobody frames us."""
ALWAYS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Links carry tokens: other sites learn nothing. `no-referrer` would hide our own origin from ourselves as well.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
HTTPS_ONLY: Final = "max-age=31536000"


def install(app: Flask) -> None:
    """Put them on every answer; a view that sets one itself is left its own."""
    app.after_request(_put)


def _put(response: Response) -> Response:
    for name, value in ALWAYS.items():
        response.headers.setdefault(name, value)
    if cookies.secure():
        response.headers.setdefault("Strict-Transport-Security", HTTPS_ONLY)
    return response
