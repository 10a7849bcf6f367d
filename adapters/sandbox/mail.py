"""The simulated mail server: takes letters and keeps them. `MailServer` needs aiosmtpd (the extra `embedded`)."""

import email
import email.policy
import socket
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller

from adapters.sandbox.world import World


class MailServer:
    """Listens on `port` of 127.0.0.1 (0: any free one) and keeps in `world.mail` what it takes."""

    def __init__(self, world: World, port: int = 0) -> None:
        self.port = port or _free_port()
        self._controller = Controller(_Keeper(world), hostname="127.0.0.1", port=self.port)

    @property
    def url(self) -> str:
        """As SMTP_URL takes it."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen, from a thread of its own."""
        self._controller.start()
        return self

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Keeper:
    """The hooks that aiosmtpd calls; their names are its own."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        """Take the recipient, or answer as the knob says."""
        code = self._world.mail_knobs.refuse_with
        if code is not None:
            return f"{code} simulated refusal"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep the letter, as it came and as a reader sees it."""
        with self._world.lock:
            self._world.mail.append(read(envelope.mail_from, envelope.rcpt_tos, envelope.content))
            cut = self._world.mail_knobs.cut_off > 0
            self._world.mail_knobs.cut_off -= int(cut)
        if cut:
            server.transport.abort()
        return "250 taken"


def read(sender: str, recipients: list[str], raw: bytes) -> dict[str, Any]:
    """A letter for the control API."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    return {
        "from": sender,
        "to": list(recipients),
        "headers": [[name, str(value)] for name, value in message.items()],
        "text": plain.get_content() if plain is not None else "",
        "html": html.get_content() if html is not None else "",
        "raw": raw.decode("utf-8", "replace"),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
