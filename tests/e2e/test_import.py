"""An intent file goes in by HTTP and by command, and a task for the account's owner comes out, once."""

import gzip
import json
from datetime import UTC, datetime

from adapters.sandbox import wire
from tests.e2e.chunked import post_chunked
from tests.e2e.conftest import System
from tests.e2e.crm_side import IMPORT_TOKEN, OWNER, targets
from tests.e2e.ledger_view import Row
from tests.e2e.preloaded import run
from tests.e2e.processes import until

HEADERS = {"Authorization": f"Bearer {IMPORT_TOKEN}", "Content-Type": "text/csv"}
ACCOUNTS = 12


def file_of(names: list[str]) -> bytes:
    """Three topics of each company: two surges, one of them strong, and one that is none."""
    today = datetime.now(UTC).date()
    rows = [f"{name},{topic},{score},{today}" for name in names for topic, score in (("A", 92), ("B", 61), ("C", 30))]
    return "\n".join(["Domain,Topic,Composite Score,Date", *rows]).encode()


def test_a_file_in_and_one_task_for_each_account_out(running: System) -> None:
    ids = [running.vendors.new_id() for _ in range(ACCOUNTS)]
    known = [f"account{one}.example" for one in ids]
    companies = [
        {
            "type": "company",
            "id": id,
            "properties": {"name": f"A {id}", "domain": name, "hs_num_open_deals": "1", "hubspot_owner_id": OWNER},
        }
        for id, name in zip(ids, known, strict=True)
    ]
    running.vendors.control.seed({"hubspot": {"objects": companies}})
    strangers = [f"stranger{one}.example" for one in ids]
    body = file_of([*known, *strangers])

    answer = wire.send("POST", f"{running.url}/imports/bombora", gzip.compress(body), HEADERS)
    assert answer.status == 202, answer.body
    told = answer.json()
    assert (told["rows"], told["accepted"]) == (6 * ACCOUNTS, 4 * ACCOUNTS)
    assert told["ignored"] == {"below_threshold": 2 * ACCOUNTS}

    ended = until(lambda: _ended(running, told["import_id"], told["accepted"]), "the end of all its signals")
    by_outcome = {(row["domain"] in known, row["topic"], row["disposition"]) for row in ended}
    assert by_outcome == {
        (True, "A", "acted"),
        (True, "B", "nothing_due"),
        (False, "A", "nothing_due"),
        (False, "B", "nothing_due"),
    }
    tasks = [one for one in running.vendors.control.effects() if set(targets(one["body"])) & set(ids)]
    assert sorted(target for one in tasks for target in targets(one["body"])) == sorted(ids)
    assert {one["body"]["properties"]["hubspot_owner_id"] for one in tasks} == {OWNER}

    trace = run(running.ledger.urls, "trace", told["import_id"], "--limit", "3")
    assert trace.returncode == 0, trace.stderr
    assert "intent.surge" in trace.stdout

    assert post_chunked(f"{running.url}/imports/bombora", body, HEADERS) == 202
    file = running.folder / "surge.csv"
    file.write_bytes(body)
    again = run(running.ledger.urls, "import", "bombora", str(file), "--json")
    assert again.returncode == 0, again.stderr
    outcome = json.loads(again.stdout)
    assert (outcome["accepted"], outcome["duplicates"]) == (0, told["accepted"])
    imports = running.ledger.rows("SELECT state, accepted, duplicates, name FROM imports ORDER BY began_at")[-3:]
    assert [(one["state"], one["accepted"], one["duplicates"]) for one in imports] == [
        ("done", told["accepted"], 0),
        ("done", 0, told["accepted"]),
        ("done", 0, told["accepted"]),
    ]
    assert imports[-1]["name"] == "surge.csv"


def test_strangers_and_files_of_another_kind_stay_outside(running: System) -> None:
    url = f"{running.url}/imports/bombora"
    assert wire.send("POST", url, file_of(["a.example"])).status == 401
    assert wire.send("POST", url, b"name,phone\nKim,1\n", HEADERS).status == 400
    file = running.folder / "contacts.csv"
    file.write_bytes(b"name,phone\nKim,1\n")
    refused = run(running.ledger.urls, "import", "bombora", str(file))
    assert refused.returncode == 1
    assert "missing_columns" in refused.stderr
    assert "found: name, phone" in refused.stderr


def _ended(running: System, import_id: str, count: int) -> list[Row] | None:
    rows = running.ledger.rows(
        "SELECT payload->>'domain' AS domain, payload->>'topic' AS topic, disposition FROM signals"
        " WHERE correlation_id = :id AND disposition IS NOT NULL",
        id=import_id,
    )
    return rows if len(rows) == count else None
