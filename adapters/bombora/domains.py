"""Companies are known by their web domain: one spelling for each, and no company where everybody has a mailbox."""

from functools import lru_cache
from typing import Final

from revpipe.errors import BadPayload

LONGEST: Final = 253
NO_COMPANY: Final = frozenset({
    "0-lightower.net", "126.com", "163.com", "aol.com", "att.net", "bellsouth.net", "bigpond.com", "bt.com",
    "btinternet.com", "charter.net", "comcast.net", "cox.net", "earthlink.net", "fastmail.com", "free.fr",
    "frontier.com", "gmail.com", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "hotmail.co.uk", "hotmail.com",
    "icloud.com", "juno.com", "laposte.net", "libero.it", "lightower.net", "live.com", "mac.com", "mail.com",
    "mail.ru", "me.com", "msn.com", "naver.com", "optonline.net", "orange.fr", "outlook.com", "pacbell.net",
    "proton.me", "protonmail.com", "qq.com", "rocketmail.com", "rogers.com", "sbcglobal.net", "shaw.ca", "sky.com",
    "t-online.de", "telus.net", "verizon.net", "virginmedia.com", "wanadoo.fr", "web.de", "windstream.net",
    "xtra.co.nz", "yahoo.co.uk", "yahoo.com", "yahoo.de", "yahoo.fr", "yandex.ru", "ymail.com", "zoho.com",
})  # fmt: skip
"""Mailbox and Internet access providers: who reads something from there is a subscriber, not their staff."""


@lru_cache(maxsize=8192)
def domain(word: str) -> str:
    """`https://www.Müller.example/de` → `xn--mller-kva.example`. Raises BadPayload: bad_domain."""
    host = word.strip().lower().partition("://")[2] or word.strip().lower()
    host = host.partition("/")[0].partition("?")[0].rpartition("@")[2].partition(":")[0]
    host = host.strip(".")
    while host.startswith("www.") and host.count(".") > 1:
        host = host.removeprefix("www.")
    try:
        name = host.encode("idna").decode()
    except UnicodeError as error:
        raise BadPayload("bad_domain", f"{word[:100]!r} is no web domain") from error
    fine = "." in name and len(name) <= LONGEST and all(char.isalnum() or char in ".-_" for char in name)
    if not fine or name.rpartition(".")[2].isdecimal():
        raise BadPayload("bad_domain", f"{word[:100]!r} is no web domain")
    return name
