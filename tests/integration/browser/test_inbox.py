"""The inbox in a browser: by mouse, by keyboard only, while others decide, without a script."""

import re
import time
import uuid

import pytest
from playwright.sync_api import Page, expect

from revpipe import approvals
from tests.integration.browser.conftest import Console
from tests.integration.console_ground import approval_row, ask, speaker


def rows_of(page: Page) -> list[str]:
    """The actions in the list, from the top."""
    ids = page.locator(".rows a").evaluate_all("rows => rows.map(row => row.id)")
    return [str(one).removeprefix("row-") for one in ids]


def pressed(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_by_mouse(console: Console) -> None:
    ids = ask(console.services, "a", "b")
    page = console.page()
    page.goto("/console/approvals")
    assert len(rows_of(page)) == 4
    draft = ids["b"]["draft_followup"]
    page.locator(f"#row-{draft}").click()
    expect(page.locator("article")).to_have_attribute("data-action", str(draft))
    expect(page.locator(".draft")).to_contain_text("b")
    expect(page.get_by_role("heading", name="Why")).to_be_visible()
    # A click in the first twentieth of a second would be answered by the browser alone, before htmx has the form.
    expect(page.locator("#subject")).to_be_focused()
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#notes")).to_contain_text("Approved: a")
    expect(page.locator(f"#row-{draft}")).to_have_count(0)
    row = approval_row(console.services, draft)
    assert (row["state"], row["decided_by"], row["way"]) == ("approved", "ann@example.com", "console")


def test_by_keyboard_only(console: Console) -> None:
    ask(console.services, "a", "b")
    page = console.page()
    page.goto("/console/approvals")
    first, second, third, fourth = rows_of(page)
    article = page.locator("article")
    pressed(page, "j")
    expect(article).to_have_attribute("data-action", second)
    page.goto(f"/console/approvals/{first}")
    # The page is ready for keys once the focus is on what it shows; a key pressed sooner is one for what went before.
    subject = page.locator("#subject")
    pressed(page, "j")
    expect(article).to_have_attribute("data-action", second)
    expect(subject).to_be_focused()
    pressed(page, "k")
    expect(article).to_have_attribute("data-action", first)
    expect(subject).to_be_focused()
    pressed(page, "a")
    expect(page.locator("#approve")).to_be_focused()
    assert approval_row(console.services, _id(first))["state"] == "open"
    pressed(page, "a")
    expect(article).to_have_attribute("data-action", second)
    assert approval_row(console.services, _id(first))["state"] == "approved"
    expect(page.locator("#subject")).to_be_focused()
    pressed(page, "r")
    expect(page.locator("#reason")).to_be_focused()
    page.keyboard.type("Already in touch, a day ago")
    pressed(page, "Enter")
    expect(article).to_have_attribute("data-action", third)
    row = approval_row(console.services, _id(second))
    assert (row["state"], row["reason"]) == ("rejected", "Already in touch, a day ago")
    pressed(page, "e")
    expect(page).to_have_url(re.compile(r"/edit$"))
    pressed(page, "Escape")
    expect(article).to_have_attribute("data-action", third)
    assert {fourth, third} == set(rows_of(page))


def test_every_control_is_reached_by_the_tabulator(console: Console) -> None:
    ask(console.services, "a")
    page = console.page()
    page.goto("/console/approvals")
    reached = set()
    for _ in range(40):
        pressed(page, "Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"approve", "edit", "look", "Skip to the content", "Overview"} <= reached
    pressed(page, *["Shift+Tab"] * 60)


def test_keys_can_be_switched_off(console: Console) -> None:
    ask(console.services, "a")
    page = console.page()
    page.goto("/console/approvals")
    first = rows_of(page)[0]
    page.goto(f"/console/approvals/{first}")
    page.get_by_text("Keys", exact=True).click()
    page.get_by_label("Keys are on").uncheck()
    page.locator("#subject").focus()
    pressed(page, "j", "a", "e")
    expect(page.locator("#approve")).not_to_be_focused()
    assert page.url.endswith(first)
    page.reload()
    expect(page.get_by_label("Keys are on")).not_to_be_checked()


def test_an_edit_shows_its_diff_while_it_is_typed_and_after(console: Console) -> None:
    draft = ask(console.services, "a")["a"]["draft_followup"]
    page = console.page()
    page.goto(f"/console/approvals/{draft}")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Text").fill("b, and <b>Friday</b>")
    expect(page.locator("#changes ins")).to_contain_text(", and <b>Friday</b>")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#notes")).to_contain_text("Version 2")
    edits = page.get_by_role("region", name="Edits")
    expect(edits).to_contain_text("Version 2, by ann@example.com in the console")
    expect(edits.locator("ins")).to_contain_text(", and <b>Friday</b>")
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#notes")).to_contain_text("Approved")
    assert approval_row(console.services, draft)["version"] == 2


def test_equal_actions_of_low_risk_go_together(console: Console) -> None:
    ids = ask(console.services, "a", "b", "c")
    page = console.page()
    page.goto(f"/console/approvals/{ids['a']['update_crm']}")
    page.get_by_role("link", name="All 3 like this").click()
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(3)
    page.locator(f"input[value='{ids['b']['update_crm']}:1']").uncheck()
    approvals.reject(console.services, ids["c"]["update_crm"], speaker(console.services), "no")
    page.get_by_role("button", name="Approve those ticked").click()
    expect(page.get_by_role("heading", name="1 of 2 approved")).to_be_visible()
    expect(page.locator(".outcomes")).to_contain_text("ben@example.com")
    states = {name: approval_row(console.services, ids[name]["update_crm"])["state"] for name in ids}
    assert states == {"a": "approved", "b": "open", "c": "rejected"}


def test_what_is_decided_elsewhere_appears_within_two_seconds(console: Console) -> None:
    ids = ask(console.services, "a", "b", "c", "d")
    page = console.page()
    chosen = ids["a"]["draft_followup"]
    page.goto(f"/console/approvals/{chosen}")
    page.locator(f"#row-{chosen}").focus()
    took = []
    for name in ("b", "c", "d"):  # Several, for a busy machine may take its time with one.
        approvals.approve(console.services, ids[name]["draft_followup"], speaker(console.services))
        since = time.monotonic()
        expect(page.locator(f"#row-{ids[name]['draft_followup']}")).to_have_count(0)
        took.append(time.monotonic() - since)
    assert min(took) < 2
    expect(page.locator(f"#row-{chosen}")).to_be_focused()


def test_the_chosen_request_says_who_was_faster(console: Console) -> None:
    chosen = ask(console.services, "a")["a"]["draft_followup"]
    page = console.page()
    page.goto(f"/console/approvals/{chosen}")
    approvals.reject(console.services, chosen, speaker(console.services), "no")
    expect(page.locator("#standing")).to_contain_text("Rejected by ben@example.com in Slack")
    expect(page.locator("#approve")).not_to_be_visible()


def test_what_is_typed_stays_when_the_request_is_decided_meanwhile(console: Console) -> None:
    draft = ask(console.services, "a")["a"]["draft_followup"]
    page = console.page()
    page.goto(f"/console/approvals/{draft}/edit")
    page.get_by_label("Text").fill("much work")
    approvals.approve(console.services, draft, speaker(console.services))
    expect(page.locator("#standing")).to_contain_text("Approved by ben@example.com in Slack")
    expect(page.get_by_role("button", name="Save", exact=True)).not_to_be_visible()
    expect(page.get_by_label("Text")).to_have_value("much work")


def test_an_edit_by_somebody_else_is_told_of_and_never_approved_unseen(console: Console) -> None:
    draft = ask(console.services, "a")["a"]["draft_followup"]
    page = console.page()
    page.goto(f"/console/approvals/{draft}")
    approvals.edit(console.services, draft, speaker(console.services), 1, {"body": "another text"})
    expect(page.locator("#standing")).to_contain_text("Edited meanwhile by ben@example.com")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator(".draft")).to_contain_text("another text")
    assert approval_row(console.services, draft)["state"] == "open"
    page.get_by_role("button", name="Approve").click()
    expect(page.locator("#notes")).to_contain_text("Approved")
    console.said.clear()  # The browser itself notes the refusal's status.


def test_when_nothing_answers_the_page_says_that_it_may_be_old(console: Console) -> None:
    ask(console.services, "a")
    page = console.page()
    page.goto("/console/approvals")
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#offline")).not_to_be_visible()
    console.said.clear()  # The browser itself notes each request that got no answer.


def test_without_a_script_everything_works(console: Console) -> None:
    ids = ask(console.services, "a", "b")
    page = console.page(java_script_enabled=False)
    page.goto("/console/approvals")
    page.locator(f"#row-{ids['a']['draft_followup']}").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Text").fill("c")
    page.get_by_role("button", name="Show changes").click()
    expect(page.locator("#changes ins")).to_contain_text("c")
    page.get_by_role("button", name="Save and approve").click()
    expect(page.locator("#notes")).to_contain_text("Approved")
    page.goto(f"/console/approvals/{ids['b']['draft_followup']}")
    page.locator("#reject summary").click()
    page.get_by_label("Why not?").fill("Wrong time")
    page.locator("#reject button").click()
    expect(page.locator("#notes")).to_contain_text("Rejected")
    assert approval_row(console.services, ids["a"]["draft_followup"])["state"] == "approved"
    assert approval_row(console.services, ids["b"]["draft_followup"])["state"] == "rejected"


def test_on_a_phone_there_is_the_list_and_then_the_request(console: Console) -> None:
    draft = ask(console.services, "a")["a"]["draft_followup"]
    page = console.page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto("/console/approvals")
    expect(page.locator("article")).not_to_be_visible()
    page.locator(f"#row-{draft}").tap()
    expect(page.locator("article")).to_be_visible()
    expect(page.locator(".rows")).not_to_be_visible()
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide
    page.get_by_role("link", name="All approvals").tap()
    expect(page.locator(".rows")).to_be_visible()


def test_an_empty_inbox_says_so_and_fills_by_itself(console: Console) -> None:
    page = console.page()
    page.goto("/console/approvals")
    expect(page.locator(".empty")).to_contain_text("Nothing waits for you")
    ask(console.services, "a")
    expect(page.locator(".rows a")).to_have_count(2)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_switch_overrules_the_system(console: Console, scheme: str) -> None:
    page = console.page(color_scheme=scheme)
    page.goto("/console/approvals")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    before = page.evaluate(paper)
    button = page.locator("#look")
    for _ in range(3):
        if page.evaluate(paper) == before:
            button.click()
    assert page.evaluate(paper) != before
    kept = page.evaluate(paper)
    page.reload()
    assert page.evaluate(paper) == kept


def _id(text: str) -> uuid.UUID:
    return uuid.UUID(text)
