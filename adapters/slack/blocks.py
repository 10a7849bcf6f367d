"""An alert as Block Kit. Too long a text would make Slack refuse the whole message, so everything is cut to fit.

Limits: Slack docs, Block Kit reference, and the models of slack_sdk. Lengths are counted in UTF-16 units, the
strictest way to count characters.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

MAX_HEADER: Final = 150
MAX_TEXT: Final = 3000
MAX_FIELD: Final = 2000
MAX_FIELDS: Final = 10
"""Per section; further fields go into further sections."""
MAX_SECTIONS: Final = 3
"""Sections of fields. An alert is read on a phone: what goes beyond is counted, not shown."""
MAX_FALLBACK: Final = 1000
MAX_URL: Final = 2500
"""Slack takes 3,000; the host, shown beside the link, counts too."""

Block = dict[str, Any]


def alert_blocks(params: Mapping[str, Any], key: str) -> list[Block]:
    """The blocks of a `send_alert`: header, text, fields, link, and a context line with the action's key.

    Texts stand in plain_text, where Slack looks for no mentions, links or formatting: they may come from a
    call or a CRM record that anybody can write into.
    """
    blocks: list[Block] = [{"type": "header", "text": _plain(one_line(params["title"]), MAX_HEADER)}]
    if text := str(params.get("text") or "").strip():
        blocks.append({"type": "section", "text": _plain(text, MAX_TEXT)})
    fields = [_field(label, value) for label, value in (params.get("fields") or {}).items()]
    shown = fields[: MAX_FIELDS * MAX_SECTIONS]
    for start in range(0, len(shown), MAX_FIELDS):
        blocks.append({"type": "section", "fields": shown[start : start + MAX_FIELDS]})
    if link := _link(params.get("link")):
        blocks.append({"type": "section", "text": link})
    note = f"revpipe action {key}"
    if len(fields) > len(shown):
        note += f", {len(fields) - len(shown)} more fields left out"
    blocks.append({"type": "context", "elements": [_plain(note, MAX_TEXT)]})
    return blocks


def fallback_text(params: Mapping[str, Any]) -> str:
    """What notifications and screen readers show instead of the blocks."""
    parts = (one_line(params["title"]), one_line(params.get("text")))
    return escape(cut("\n".join(part for part in parts if part), MAX_FALLBACK))


def escape(text: str) -> str:
    """`text` for mrkdwn: without this, `<!channel>` or `<https://evil.example|Acme>` would come alive."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units of `text`; an ellipsis shows that something is missing."""
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * limit:
        return text
    return units[: 2 * (limit - 1)].decode("utf-16-le", "ignore").rstrip() + "…"


def one_line(value: Any) -> str:
    """`value` as one line of text; empty for None."""
    return "" if value is None else " ".join(str(value).split())


def shown(value: Any) -> str:
    """A field's value for people: 50000.0 as 50,000, yes and no, a dash for nothing."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value) or "–"
    return str(value).strip() or "–"


def _field(label: object, value: Any) -> Block:
    return _plain(f"{one_line(label)}\n{shown(value)}".strip(), MAX_FIELD)


def _plain(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": cut(text, limit), "emoji": False}


def _link(url: Any) -> Block | None:
    """The link with its host in sight, so that nobody is led elsewhere unawares; None if it is no web address.

    It is no button: a click on one would send an interaction that needs an answer.
    """
    # Only these characters may stand in a link of mrkdwn; `|`, `<`, `>` and blanks would end it early.
    target = quote(str(url or "").strip(), safe="%/:=&?~#+!$,;'@()*[]")
    try:
        parts = urlsplit(target)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or len(target) > MAX_URL:
        return None
    return {"type": "mrkdwn", "text": f"<{escape(target)}|Open at {escape(cut(host, 100))}>", "verbatim": True}
