"""A request for approval as an e-mail. What came from a CRM, a call or a language model never reaches a header raw.

Python's own message class has let such text through as headers of its own (CVE-2024-6923, CVE-2026-1299), so every
value is cleaned before it meets a header, and the finished message is read again and compared.
"""

import email
import email.policy
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from html import escape
from typing import Any, Final

from revpipe.errors import Permanent
from revpipe.messenger import Card

MAX_HEADER: Final = 200
MAX_TEXT: Final = 20_000
"""Characters of one param; a letter is for deciding, and the page shows all of it."""
_HEADERS: Final = frozenset(
    {
        *("from", "to", "subject", "message-id", "date", "auto-submitted", "x-auto-response-suppress"),
        *("mime-version", "content-type"),
    }
)


def letter(card: Card, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """The message. Raises Permanent for a recipient that is not exactly one address."""
    to = _address(recipient)
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = Address("revpipe", addr_spec=sender)
    message["To"] = (to,)
    message["Subject"] = one_line(f"To approve: {_what(card)}")
    message["Message-ID"] = f"<{card.key}.v{card.version}@{sender.rpartition('@')[2]}>"
    message["Date"] = now.astimezone(UTC)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(_text(card), charset="utf-8")
    message.add_alternative(_html(card), subtype="html", charset="utf-8")
    _check(message, to.addr_spec)
    return message


def one_line(value: str) -> str:
    """`value` for a header: printable, one line, short, and nothing that a reader decodes into something else."""
    printable = "".join(sign if sign.isprintable() else " " for sign in value)
    flat = " ".join(printable.split()).replace("=?", "= ?")
    return flat if len(flat) <= MAX_HEADER else flat[: MAX_HEADER - 1] + "…"


def _address(recipient: str) -> Address:
    try:
        found = Address(addr_spec=recipient)
    except Exception as error:
        # The parser of the standard library raises whatever it trips over.
        raise Permanent("the approver's e-mail is not one address") from error
    # What the parser dropped (a comment) or read otherwise would be an address that nobody wrote down.
    if not found.username or not found.domain or not recipient.isascii() or found.addr_spec != recipient:
        raise Permanent("the approver's e-mail is not one address")
    return found


def _check(message: EmailMessage, recipient: str) -> None:
    """Read it as its next reader will. Raises Permanent if there is a header more, or another recipient."""
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.SMTP)
    names = [name.lower() for name in read.keys()]  # noqa: SIM118 - a message is no mapping: a name may come twice
    to = [address.addr_spec for address in read["To"].addresses]
    if len(names) != len(set(names)) or set(names) - _HEADERS or to != [recipient]:
        raise Permanent("the letter would have had headers or recipients that nobody asked for")


def _what(card: Card) -> str:
    return (
        f"{card.type.replace('_', ' ')} for {card.deal_name or (f'deal {card.deal_id}' if card.deal_id else 'no deal')}"
    )


def _facts(card: Card) -> list[tuple[str, str]]:
    facts = [(name.replace("_", " ").capitalize(), _shown(value)) for name, value in card.params.items()]
    facts += [("Why", _shown(card.why)), ("Proposed by", card.source)]
    if card.deal_id:
        facts.append(("Deal", one_line(f"{card.deal_name or ''} ({card.deal_id})")))
    if card.edited:
        facts.append(("Edited by", card.edited))
    until = f"{card.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC; {card.at_expiry}"
    return [*facts, ("Decide until", until)]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return _visible("\n".join(f"{name}: {one}" for name, one in value.items()))[:MAX_TEXT]
    text = _visible(str(value))
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "… (the page shows all of it)"


def _visible(text: str) -> str:
    """Without half characters and control characters, but for ends of lines and tabs."""
    kept = "".join(sign for sign in text if sign in "\n\t" or sign.isprintable() or sign.isspace())
    return kept.encode("utf-8", "replace").decode()


def _text(card: Card) -> str:
    lines = [one_line(f"To approve: {_what(card)}"), ""]
    for name, value in _facts(card):
        lines += [f"{name}:", *(f"  {line}" for line in value.splitlines() or [""]), ""]
    if card.link:
        lines += ["Look at it and decide (one time, for you only):", card.link, ""]
    if card.page:
        lines += ["Or in the console:", card.page, ""]
    return "\n".join(lines)


def _html(card: Card) -> str:
    rows = "".join(
        f"<p><b>{escape(name)}</b><br>{escape(value).replace(chr(10), '<br>')}</p>" for name, value in _facts(card)
    )
    links = [("Look at it and decide", card.link), ("Open it in the console", card.page)]
    anchors = "".join(f'<p><a href="{escape(url)}">{word}</a></p>' for word, url in links if url)
    head = f"<h1>{escape(one_line(f'To approve: {_what(card)}'))}</h1>"
    return f'<!doctype html><html lang="en"><body>{head}{rows}{anchors}</body></html>'
