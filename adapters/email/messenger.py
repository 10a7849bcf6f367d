"""Requests for approval by e-mail, for teams without Slack: a letter for each version, with a link of its own."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from adapters.email.letter import letter
from adapters.email.post import Post
from revpipe.errors import CredentialsRefused, Permanent
from revpipe.messenger import Account, Card, Sent
from revpipe.ports import Gate


class MailSettings(Protocol):
    """What this adapter needs to know of a deployment."""

    @property
    def smtp_url(self) -> str | None: ...
    @property
    def mail_from(self) -> str | None: ...


class EmailMessenger:
    """Sends cards as letters. What was sent can neither be changed nor found again.

    Should an answer be lost, the letter goes out once more under the same Message-ID, which mailboxes show once; its
    second link does what the first one does, and only one of them can decide.
    """

    name = "email"
    settle = timedelta(0)
    changes = False

    def __init__(self, post: Post | None, sender: str) -> None:
        self._post = post
        self._sender = sender

    def account(self, email: str) -> Account | None:
        """Whoever has the address."""
        return Account("", email, email)

    def post(self, card: Card, place: str, thread: str | None) -> Sent:  # noqa: ARG002 - a letter has no thread
        """Send the letter. Raises CredentialsRefused where no server is set, and the errors of sending."""
        if self._post is None:
            raise CredentialsRefused("SMTP_URL and MAIL_FROM are not both set: e-mail has no way out")
        message = letter(card, self._sender, place, datetime.now(UTC))
        self._post.send(message, self._sender, place)
        return Sent(place, str(message["Message-ID"]))

    def find(self, card: Card, place: str, thread: str | None, since: datetime) -> Sent | None:  # noqa: ARG002
        """Nothing is ever found: to send it again does no harm."""
        return None

    def change(self, card: Card, sent: Sent) -> None:
        """What is sent is sent."""

    def whisper(self, place: str, user: str, text: str) -> None:  # noqa: ARG002
        """There is nobody to whisper to."""
        raise Permanent("an e-mail can't be said in passing")


def build_messenger(settings: MailSettings, gate: Gate) -> EmailMessenger:
    """The messenger of this deployment; opens nothing."""
    post = Post(settings.smtp_url, gate) if settings.smtp_url and settings.mail_from else None
    return EmailMessenger(post, settings.mail_from or "")
