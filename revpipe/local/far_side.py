"""The simulated vendors of `--sandbox`: a process of their own, reached by base URLs like the real ones."""

import importlib.util
import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from revpipe.local.sockets import free_port

HUBSPOT_SECRET: Final = "sandbox-secret"  # noqa: S105 - made up, for the simulation only
IMPORT_TOKEN: Final = "sandbox-import"  # noqa: S105 - likewise
MODEL_KEY: Final = "sandbox-key"
CHANNEL: Final = "C0DEALS01"
SLACK_SECRET: Final = "sandbox-signing-secret"  # noqa: S105 - likewise
MAIL_FROM: Final = "approvals@revpipe.example"


@dataclass(frozen=True, slots=True)
class FarSide:
    """How to start the sandbox and what revpipe must be told to talk to it."""

    url: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    gong_private_key: str

    def control(self, path: str, body: Mapping[str, Any] | None = None, *, method: str | None = None) -> Any:
        """Call the sandbox's control API: GET, or POST with a body, unless `method` says otherwise. Raises OSError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - our own loopback URL
            f"{self.url}/_sandbox/{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def send_webhooks_to(self, url: str) -> None:
        """Let the simulated vendors post to `url`: HubSpot its webhooks, with echoes of ours, and Slack presses."""
        self.control("knobs", {"hubspot": {"target_url": f"{url}/webhooks/hubspot"}, "slack": _presses_to(url)})


def simulated(*, scenario: str | None = "demo") -> FarSide:
    """A sandbox on a free port, with a fresh key for Gong's signatures, and the records of a scenario if any."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    private, public = _key_pair()
    mail_port = free_port() if importlib.util.find_spec("aiosmtpd") else None
    mail = ("--mail-port", str(mail_port)) if mail_port else ()
    return FarSide(
        url=url,
        command=("adapters.sandbox", "--port", str(port), *mail, *(("--scenario", scenario) if scenario else ())),
        environment={
            "HUBSPOT_BASE_URL": f"{url}/hubspot",
            "HUBSPOT_ACCESS_TOKEN": "sandbox-token",
            "HUBSPOT_CLIENT_SECRET": HUBSPOT_SECRET,
            "HUBSPOT_APP_ID": "1357924",
            "HUBSPOT_PORTAL_ID": "24681357",
            "GONG_BASE_URL": f"{url}/gong",
            "GONG_WEBHOOK_PUBLIC_KEY": public,
            "SLACK_BASE_URL": f"{url}/slack/api/",
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_DEFAULT_CHANNEL": CHANNEL,
            "SLACK_SIGNING_SECRET": SLACK_SECRET,
            **({"SMTP_URL": f"smtp://127.0.0.1:{mail_port}", "MAIL_FROM": MAIL_FROM} if mail_port else {}),
            "IMPORT_TOKENS": IMPORT_TOKEN,
            "ANTHROPIC_BASE_URL": f"{url}/anthropic",
            "ANTHROPIC_API_KEY": MODEL_KEY,
            "OPENAI_BASE_URL": f"{url}/openai/v1",
            "OPENAI_API_KEY": MODEL_KEY,
        },
        gong_private_key=private,
    )


def _presses_to(url: str) -> Mapping[str, str]:
    return {"interactivity_url": f"{url}/webhooks/slack/interactions"}


def _key_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()
