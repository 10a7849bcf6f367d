"""Pictures of the console as docs/console.md shows it: light, dark, phone. `make screenshots` puts them there."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from revpipe import approvals
from revpipe.keeper import Keeper
from revpipe.services import Services
from tests.integration.browser.conftest import Console
from tests.integration.console_ground import ask, speaker
from tests.integration.ledger_fixtures import rows, signal_id

LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
TEXT = (
    "Hi Robin,\n\nDoes a short call on Thursday suit you? I have the figures that you asked for.\n\nBest regards,\nAnn"
)


@pytest.mark.parametrize("look", LOOKS)
def test_pictures(console: Console, pictures: Callable[[str], Path], look: str) -> None:
    services = console.services
    ids = ask(services, "a", "b", "c")
    draft = ids["a"]["draft_followup"]
    for name, deal in {"a": "Hooli, 40 seats", "b": "Globex, renewal", "c": "Initech, pilot"}.items():
        called(services, name, deal)
    Keeper(services).round()
    approvals.edit(services, draft, speaker(services, "kim@example.com"), 1, {"body": TEXT})
    approvals.edit(
        services, draft, speaker(services, "kim@example.com"), 2, {"body": TEXT.replace("Thursday", "Friday")}
    )
    page = console.page("ann@example.com", **LOOKS[look])
    for name, path in {
        "overview": "/console/",
        "inbox": f"/console/approvals/{draft}",
        "edit": f"/console/approvals/{draft}/edit",
        "causes": f"/console/signals/{signal_id('a')}",
    }.items():
        page.goto(path)
        settle(page, name)
        target = pictures(f"{name}-{look}")
        page.screenshot(path=target, full_page=name == "causes")
        assert target.stat().st_size > 5_000


def called(services: Services, name: str, deal: str) -> None:
    """Names as people give them, in place of those that the rules of tests make."""
    told = {
        "id": signal_id(name),
        "deal": deal,
        "subject": f"Next steps for {deal.partition(',')[0]}",
        "to": "robin@example.com",
    }
    rows(
        services,
        "UPDATE contexts SET parts = jsonb_set(parts, '{deal,value,name}', to_jsonb(CAST(:deal AS text)))"
        " WHERE signal_id = :id",
        **told,
    )
    rows(
        services,
        "UPDATE actions SET params = params || jsonb_build_object('subject', CAST(:subject AS text), 'to',"
        " CAST(:to AS text)) WHERE signal_id = :id AND type = 'draft_followup'",
        **told,
    )


def settle(page: Page, name: str) -> None:
    if name == "edit":
        page.get_by_label("Text").fill(TEXT.replace("short call", "call of half an hour"))
        page.locator("#changes ins").first.wait_for()
