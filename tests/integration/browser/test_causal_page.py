"""The causal page in a browser: the way there, every link of the chain, and why a rule did not fire."""

from playwright.sync_api import expect

from revpipe import approvals
from tests.integration.browser.conftest import Console
from tests.integration.console_ground import ask, speaker
from tests.integration.ledger_fixtures import call, put, run_act, run_to, signal_id


def test_from_a_request_to_its_causes(console: Console) -> None:
    ids = ask(console.services, "a")["a"]
    approvals.edit(console.services, ids["draft_followup"], speaker(console.services), 1, {"body": "b, on Friday"})
    page = console.page()
    page.goto(f"/console/approvals/{ids['draft_followup']}")
    page.get_by_role("link", name="How it came to this").click()
    expect(page).to_have_url(f"{console.url}/console/signals/{signal_id('a')}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("deal.stage_changed · Hooli, 40 seats")
    page.get_by_text("The raw request").click()
    expect(page.get_by_role("region", name="What came")).to_contain_text('"event": "deal.stage_changed"')
    context = page.get_by_role("region", name="Context", exact=False).first
    expect(context).to_contain_text("crm")
    context.get_by_text("facts").first.click()
    expect(context).to_contain_text("Contract sent")
    decision = page.get_by_role("region", name="Decision", exact=False)
    expect(decision).to_contain_text("ask-first")
    action = page.get_by_role("region", name="Draft followup", exact=False)
    expect(action).to_contain_text("the request")
    action.get_by_text("Version 2, by ben@example.com in Slack").click()
    expect(action.locator("ins")).to_contain_text(", on Friday")
    expect(page.get_by_role("region", name="Trail", exact=True)).to_contain_text("approval requested")


def test_the_effect_is_named_once_it_is_there(console: Console) -> None:
    put(console.services, call("a"))
    run_to(console.services, "execute")
    run_act(console.services)
    page = console.page()
    page.goto(f"/console/signals/{signal_id('a')}")
    expect(page.get_by_role("region", name="Create task", exact=False)).to_contain_text("x-")
    expect(page.get_by_role("heading", name="Create task done", exact=False)).to_be_visible()


def test_why_not(console: Console) -> None:
    put(console.services, call("a", payload={"competitors": [], "call_id": "a"}))
    run_to(console.services, "execute")
    page = console.page()
    page.goto(f"/console/signals/{signal_id('a')}")
    page.get_by_text("listened and did not fire").click()
    page.get_by_role("link", name="Why not rival?").click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("signal.competitors")
    expect(page).to_have_url(f"{console.url}/console/signals/{signal_id('a')}")
    plain = console.page(java_script_enabled=False, email="ben@example.com")
    plain.goto(f"/console/signals/{signal_id('a')}/why-not/rival")
    expect(plain.locator("#answer")).to_contain_text("signal.competitors")
