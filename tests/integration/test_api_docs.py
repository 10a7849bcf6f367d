"""docs/api.md: every example is run, in its order, against an API that has something to show."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.api_fixtures import Called, called
from tests.integration.ledger_fixtures import call, one, put, run_act, run_to

__all__ = ["called"]

PAGE = Path(__file__).parents[2] / "docs/api.md"
EXAMPLES = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def furnish(called: Called) -> None:
    """Calls that were acted on, actions that wait for a person, and an event that could not be read."""
    put(called.services, *(call(f"c{at}", f"d{at}") for at in range(5)))
    put(
        called.services, *(call(f"s{at}", f"e{at}", event="deal.stage_changed") for at in range(2)), {"bad": "no_event"}
    )
    run_to(called.services, "execute")
    run_act(called.services)


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("jq"), reason="needs curl and jq")
def test_every_example_does_what_it_says(called: Called) -> None:
    furnish(called)
    examples = EXAMPLES.findall(PAGE.read_text(encoding="utf-8"))
    assert len(examples) >= 8
    script = "\n".join(["set -euo pipefail", *(f"echo '# {at}'\n{example}" for at, example in enumerate(examples))])
    found = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "REVPIPE": called.url, "TOKEN": str(called.as_("admin").token)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = found.stdout + found.stderr
    assert found.returncode == 0, said
    for words in (
        '"state": "approved"',
        '"rejected"',
        "Your 40 seats",
        '"refusal": null',
        "no_event",
        "create_task done",
        '"fired": [\n    "rival"\n  ]',
        "audit_id",
        "304",
        "query.limit: Write a whole number.",
    ):
        assert words in said, (words, said)
    # Only where a reader is to see one does an example end in a problem.
    assert said.count('"status": 4') == 1, said
    row = one(called.services, "SELECT count(*) AS n FROM approvals WHERE state <> 'open'")
    assert row["n"] == 2


def test_the_page_names_every_list_and_filter(called: Called) -> None:
    text = PAGE.read_text(encoding="utf-8")
    document = called.nobody.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        names = {one.get("name") for one in methods.get("get", {}).get("parameters", ()) if isinstance(one, dict)}
        place = path.removeprefix("/api/v1").replace("{", "<").replace("}", ">")
        if "after" in names:
            line = next((line for line in text.splitlines() if f"`{place}`" in line and line.startswith("|")), None)
            assert line, place
            filters = names - {"after", "limit", None} - set(re.findall(r"\{(\w+)\}", path))
            assert {name for name in filters if f"`{name}`" not in line} == set(), place
