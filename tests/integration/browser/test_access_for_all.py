"""axe-core finds nothing on any page, in light and dark, and nothing breaks the content security policy."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from revpipe import approvals
from tests.integration.browser.conftest import Console
from tests.integration.console_ground import ask, speaker
from tests.integration.ledger_fixtures import call, put, run_act, run_to, signal_id

AXE = Path(__file__).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def faults(page: Page) -> list[str]:
    """What axe has to say, a line for each rule: its id, and the first elements at fault."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", TAGS)
    assert found["passes"]
    return [f"{one['id']}: {[node['html'][:200] for node in one['nodes'][:3]]}" for one in found["violations"]]


def prepare(console: Console) -> dict[str, str]:
    """Something of everything; page name → path."""
    services = console.services
    ids = ask(services, "a", "b", "c", "d")
    approvals.edit(services, ids["a"]["draft_followup"], speaker(services), 1, {"body": "Does <Friday> suit you?"})
    approvals.reject(services, ids["d"]["draft_followup"], speaker(services), "Already in touch")
    put(services, call("done"), call("quiet", "d9", payload={"competitors": [], "call_id": "q"}))
    run_to(services, "execute")
    run_act(services)
    inbox = "/console/approvals"
    return {
        "overview": "/console/",
        "inbox": inbox,
        "edited": f"{inbox}/{ids['a']['draft_followup']}",
        "decided": f"{inbox}/{ids['d']['draft_followup']}",
        "editing": f"{inbox}/{ids['b']['draft_followup']}/edit",
        "alike": f"{inbox}/{ids['b']['update_crm']}/alike",
        "waits": f"/console/signals/{signal_id('a')}",
        "acted": f"/console/signals/{signal_id('done')}",
        "quiet": f"/console/signals/{signal_id('quiet')}",
        "why not": f"/console/signals/{signal_id('quiet')}/why-not/rival",
        "account": "/console/account",
        "missing": "/console/signals/nothing",
    }


def test_a_fault_is_noticed(console: Console) -> None:
    page = console.page()
    page.goto("/console/")
    page.evaluate(
        "document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=/static/mark.svg><h6>x</h6>')"
    )
    assert {line.partition(":")[0] for line in faults(page)} >= {"image-alt", "heading-order"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page(console: Console, scheme: str) -> None:
    pages = prepare(console)
    page = console.page(color_scheme=scheme)
    wrong = {}
    for name, path in pages.items():
        page.goto(path)
        for part in page.locator("details").all():
            part.evaluate("part => { part.open = true; }")
        if found := faults(page):
            wrong[name] = found
    page.context.clear_cookies()
    page.goto("/console/sign-in")
    if found := faults(page):
        wrong["sign-in"] = found
    assert not wrong, "\n".join(f"{name}: {line}" for name, lines in wrong.items() for line in lines)
    _forget_statuses(console)


STATES: dict[str, Callable[[Console, Page, dict[str, str]], None]] = {}


def state(do: Callable[[Console, Page, dict[str, str]], None]) -> Callable[[Console, Page, dict[str, str]], None]:
    STATES[do.__name__] = do
    return do


@state
def decided_meanwhile(console: Console, page: Page, pages: dict[str, str]) -> None:
    page.goto(pages["edited"])
    action = pages["edited"].rpartition("/")[2]
    approvals.approve(console.services, uuid.UUID(action), speaker(console.services))
    expect(page.locator("#standing")).to_contain_text("Approved")


@state
def refused(console: Console, page: Page, pages: dict[str, str]) -> None:
    page.goto(pages["editing"])
    page.get_by_label("Text").fill("")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()


@state
def rejecting(console: Console, page: Page, pages: dict[str, str]) -> None:
    page.goto(pages["edited"])
    page.keyboard.press("r")
    expect(page.locator("#reason")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", sorted(STATES))
def test_every_state(console: Console, name: str, scheme: str) -> None:
    pages = prepare(console)
    page = console.page(color_scheme=scheme)
    STATES[name](console, page, pages)
    assert faults(page) == []
    _forget_statuses(console)


def _forget_statuses(console: Console) -> None:
    """A browser notes each answer from 400 on as an error; those were asked for."""
    console.said[:] = [one for one in console.said if "Failed to load resource" not in one]
