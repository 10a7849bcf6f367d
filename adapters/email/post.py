"""Handing a letter to the mail server, with TLS that is checked, and its answers as our errors."""

import smtplib
import ssl
from email.message import EmailMessage
from typing import Final
from urllib.parse import unquote, urlsplit

from revpipe.errors import CredentialsRefused, Permanent, RevpipeError, Transient
from revpipe.ports import Gate

VENDOR: Final = "email"
KIND: Final = "send"
TIMEOUT: Final = 8.0
"""Seconds for each answer; all of a sending's together stay within a lease."""
_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Where no network lies between, TLS is not asked for."""


class Post:
    """One mail server. A connection is made for each letter: there are few, and an idle one is cut off anyway."""

    def __init__(self, url: str, gate: Gate) -> None:
        parts = urlsplit(url)
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname or ""
        self._port = parts.port or (465 if self._tls else 587)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._gate = gate

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Send it to this one recipient, whatever its headers say.

        Raises Permanent if the server will never take it, Transient, CredentialsRefused, and those of the gate.
        """
        self._gate.spend(VENDOR, KIND)
        failure = self._try(message, sender, recipient)
        self._gate.report(VENDOR, KIND, failure)
        if failure is not None:
            raise failure

    def _try(self, message: EmailMessage, sender: str, recipient: str) -> RevpipeError | None:
        try:
            server = self._connected()
        except RevpipeError as error:
            return error
        except (OSError, smtplib.SMTPException) as error:
            return _failure("the mail server could not be reached", error, ambiguous=False)
        try:
            server.send_message(message, from_addr=sender, to_addrs=[recipient])
        except smtplib.SMTPResponseException as error:
            return _refusal(error.smtp_code, type(error).__name__)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()), (550, b""))[0]
            return _refusal(code, "the recipient")
        except (OSError, smtplib.SMTPException) as error:
            # It may have been cut off behind the letter's last line.
            return _failure("the mail server broke off", error, ambiguous=True)
        finally:
            server.close()
        return None

    def _connected(self) -> smtplib.SMTP:
        # Without a context of ours smtplib would take any certificate.
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if self._tls:
            server = smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT)
        try:
            if not self._tls and self._host not in _HERE:
                server.starttls(context=context)
            if self._user:
                server.login(self._user, self._password)
        except smtplib.SMTPAuthenticationError as error:
            server.close()
            raise CredentialsRefused("the mail server refused the login in SMTP_URL") from error
        except smtplib.SMTPNotSupportedError as error:
            server.close()
            raise CredentialsRefused("the mail server of SMTP_URL offers no TLS or no login as it is set") from error
        except BaseException:
            server.close()
            raise
        return server


def _refusal(code: int, what: str) -> RevpipeError:
    refused: RevpipeError
    if 400 <= code < 500:
        refused = Transient(f"the mail server refused {what} for now: {code}")
    elif code in (530, 534, 535, 538):
        refused = CredentialsRefused(f"the mail server wants another login: {code}")
    else:
        refused = Permanent(f"the mail server refused {what}: {code}")
    refused.where = f"mail server {code}"
    return refused


def _failure(said: str, error: Exception, *, ambiguous: bool) -> Transient:
    failure = Transient(f"{said}: {type(error).__name__}", ambiguous=ambiguous)
    failure.where = "mail server out of reach"
    return failure
