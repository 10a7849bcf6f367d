"""What the console asks of a large ledger, explained as all that the product asks of it is."""

from revpipe.keeper import Keeper
from revpipe.services import Services
from revpipe.web.app import create_app
from tests.integration.console_ground import COOKIE, session_of
from tests.integration.explained import Explainer
from tests.integration.filled_fixtures import busy, filled
from tests.integration.ledger_fixtures import one, rows
from tests.integration.test_query_plans import SIGNALLED, explainer, judge, pages

__all__ = ["busy", "explainer", "filled"]


def test_the_console(busy: Services, explainer: Explainer) -> None:
    Keeper(busy).round()
    app = create_app(busy)
    waits = rows(busy, "SELECT action_id FROM approvals WHERE state = 'open' ORDER BY expires_at DESC LIMIT 1")
    action, acted = waits[0]["action_id"], one(busy, f"SELECT {SIGNALLED.format('acted')} AS id")["id"]
    paths = [f"/console/approvals/{action}", f"/console/approvals/{action}/edit", f"/console/approvals/{action}/alike"]
    paths += [f"/console/approvals/standing?chosen={action}&version=9&state=open", f"/console/signals/{acted}"]
    paths += [path for path in pages(app) if path.startswith("/console/")]
    people = [("admin", None), ("rep", "77")]
    for role, owner_id in people:
        client = app.test_client()
        client.set_cookie(COOKIE, session_of(busy, f"{role}@example.com", role, owner_id))
        with explainer.watching():
            for path in paths:
                answer = client.get(path, headers={"Accept": "text/html"})
                assert answer.status_code < 500, (path, answer.text)
    judge(explainer, "queries", "window", "overview", "causes")
