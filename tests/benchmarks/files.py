"""An intent file as Bombora's loaders describe it: a heading, and one row for each company, topic and week."""

from datetime import UTC, datetime, timedelta
from typing import Final

from tests.benchmarks.webhooks import IMPORT_TOKEN, Traffic

HEADING: Final = "Company,Domain,Topic,Composite Score,Date"
HOT, COOL = 92, 61
"""Scores: one that the shipped rules want a task for, one that is kept and leads to nothing."""


def rows(traffic: Traffic) -> list[str]:
    """One row for each signal, about a company that the CRM knows and that has an open deal."""
    week = (datetime.now(UTC) - timedelta(days=7)).date()
    made = []
    for number in range(traffic.signals):
        company = traffic.subject(number)
        score = HOT if traffic.act_every and number % traffic.act_every == 0 else COOL
        made.append(f"Company {company},c{company}.example,Topic {number},{score},{week}")
    return made


def requests(traffic: Traffic, url: str) -> list[bytes]:
    """The whole file as one request."""
    body = "\n".join([HEADING, *rows(traffic), ""]).encode()
    host, _, path = url.removeprefix("http://").partition("/")
    head = (
        f"POST /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/csv\r\nContent-Length: {len(body)}\r\n"
        f"Authorization: Bearer {IMPORT_TOKEN}\r\n\r\n"
    )
    return [head.encode() + body]
