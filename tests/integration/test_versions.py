"""Records and messages of every release are read by this one, and those of a later release wait for it.

The records of version 1 in tests/corpus/v1 are rows as the ledger held them, and messages as they stood in the broker.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from revpipe import act, approvals, dead_letters, sweep, unknowns
from revpipe.db import transaction
from revpipe.schemas import upcast
from revpipe.schemas.versions import VERSIONS
from revpipe.services import Services
from revpipe.signals import SIGNAL_TYPES, stable_id
from revpipe.work import MESSAGE_VERSION, Chunk
from tasks.app import make_app
from tasks.stage_task import StageTask
from tests.integration.ledger_fixtures import (
    STAGES,
    FakeAdapter,
    MovableClock,
    call,
    offer_due,
    one,
    person,
    put,
    rows,
    run_act,
    run_stage,
    run_to,
    sent,
    signal_id,
    signal_row,
    take_messages,
    trail_of,
)

CORPUS = Path(__file__).parent.parent / "corpus"
TABLES = ("rule_versions", "signals", "contexts", "plans", "actions", "approvals")


def stored(version: int, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((CORPUS / f"v{version}" / f"{table}.json").read_text(encoding="utf-8"))
    return found


def messages(version: int) -> list[tuple[str, Any]]:
    """Task and first argument of each message, read from its bytes as Celery does."""
    found = []
    for item in stored(version, "messages"):
        envelope = json.loads(item["raw"])
        body = json.loads(base64.b64decode(envelope["body"]))
        found.append((envelope["headers"]["task"], body[0][0]))
    return found


def load(services: Services, version: int) -> None:
    """Put the corpus into the ledger, column by column: what it does not know is left to the defaults."""
    for table in TABLES:
        records = stored(version, table)
        names = ", ".join(records[0])
        rows(
            services,
            f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, :records)",
            records=json.dumps(records),
        )


def lacking(versions: Mapping[str, int], steps: Mapping[str, Mapping[int, Any]], message: int) -> list[str]:
    """What a release that writes these versions still needs: steps from, and corpora of, every one."""
    faults = [
        f"no step from {kind} {version}"
        for kind, newest in versions.items()
        for version in range(1, newest)
        if version not in steps.get(kind, {})
    ]
    for kind, newest in versions.items():
        for version in range(1, newest + 1):
            path = CORPUS / f"v{version}" / f"{kind}s.json"
            records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
            if not any(record["schema_version"] == version for record in records):
                faults.append(f"no corpus of {kind} {version}")
    for version in range(1, message + 1):
        path = CORPUS / f"v{version}" / "messages.json"
        if not path.exists() or not any(body.get("v") == version for _, body in messages(version)):
            faults.append(f"no corpus of message {version}")
    return faults


def test_every_version_ever_written_has_its_step_and_its_corpus() -> None:
    assert lacking(VERSIONS, upcast.STEPS, MESSAGE_VERSION) == []


@pytest.mark.parametrize("kind", VERSIONS)
def test_a_raised_version_without_step_or_corpus_is_noticed(kind: str) -> None:
    raised = {**VERSIONS, kind: VERSIONS[kind] + 1}
    assert lacking(raised, upcast.STEPS, MESSAGE_VERSION) == [
        f"no step from {kind} {VERSIONS[kind]}",
        f"no corpus of {kind} {VERSIONS[kind] + 1}",
    ]
    assert lacking(VERSIONS, upcast.STEPS, MESSAGE_VERSION + 1) == [f"no corpus of message {MESSAGE_VERSION + 1}"]


def test_the_corpus_holds_every_kind_of_signal_and_every_state_under_way() -> None:
    signals, actions = stored(1, "signals"), stored(1, "actions")
    assert {one["signal_type"] for one in signals} == set(SIGNAL_TYPES)
    assert len({one["event"] for one in signals}) >= 45
    assert {one["state"] for one in signals} == {"received", "enriched", "decided", "parked", "waiting", "done"}
    assert any(one["claim_id"] for one in signals)
    assert {one["state"] for one in actions} >= {
        *("planned", "awaiting_approval", "ready", "running", "done", "failed", "unknown")
    }
    assert {task for task, _ in messages(1)} == {"enrich", "decide", "execute", "act"}


def test_messages_of_version_1_find_the_rows_that_they_were_sent_for(services: Services) -> None:
    load(services, 1)
    claimed = 0
    for task, message in messages(1):
        chunk = Chunk.from_message(message)
        table, key = ("actions", "action_id") if task == "act" else ("signals", "signal_id")
        sent_rows = rows(
            services,
            f"SELECT 1 FROM {table} WHERE {key} = ANY(:ids) AND send_no = :no AND sent_at IS NOT NULL",
            ids=list(chunk.ids),
            no=chunk.send_no,
        )
        run = act.run if task == "act" else STAGES[task]
        run(chunk, services)
        claimed += len(sent_rows)
        assert chunk.to_message() == message
    assert claimed > 20
    assert rows(services, "SELECT * FROM signals WHERE state = 'received'") == []


def test_records_of_version_1_go_through_todays_stages_to_their_end(services: Services, clock: MovableClock) -> None:
    load(services, 1)
    open_at_first = one(services, "SELECT count(*) AS n FROM signals WHERE state <> 'done'")["n"]
    done_before = {row["action_id"] for row in rows(services, "SELECT action_id FROM actions WHERE state = 'done'")}
    clock.move(minutes=1)
    wanted = rows(services, "SELECT action_id FROM approvals WHERE state = 'open' ORDER BY action_id")
    approvals.approve(services, wanted[0]["action_id"], person("tests"))
    for _ in range(40):
        sweep.sweep(services)
        offer_due(services)
        chunks = [chunk for stage in STAGES for chunk in run_stage(services, stage)] + run_act(services)
        if not chunks and not rows(services, "SELECT 1 FROM signals WHERE gathering IS NOT NULL"):
            break
        # Edits of one deal wait for each other.
        clock.move(seconds=1)
    for _ in range(2):
        clock.move(days=8)
        approvals.expire_due(services)
    for row in rows(services, "SELECT action_id FROM actions WHERE state = 'unknown'"):
        unknowns.settle(services, row["action_id"], happened=False)
    left = rows(services, "SELECT signal_id, state, stage, reason FROM signals WHERE state <> 'done'")
    assert (left, open_at_first > 30) == ([], True)
    assert rows(services, "SELECT * FROM dead_letters") == []
    done = rows(services, "SELECT action_id FROM actions WHERE state = 'done'")
    assert {row["action_id"] for row in done} > done_before
    # The world of then is not that of the provider here, as its second look may find.
    word = one(services, "SELECT state, released_at FROM actions WHERE action_id = :id", id=wanted[0]["action_id"])
    assert word["state"] in ("done", "cancelled")
    assert word["released_at"] is not None


def raised(services: Services, table: str, name: str) -> None:
    """Let a later release have written this record of a signal."""
    rows(services, f"UPDATE {table} SET schema_version = 2 WHERE signal_id = :id", id=signal_id(name))


@pytest.mark.parametrize(
    ("table", "stage"),
    [
        ("signals", "enrich"),
        ("signals", "decide"),
        ("contexts", "decide"),
        ("plans", "execute"),
        ("actions", "execute"),
    ],
)
def test_a_row_of_a_later_release_waits_for_its_worker_and_is_not_burnt(
    services: Services, clock: MovableClock, table: str, stage: str
) -> None:
    put(services, call("old", "d1"), call("new", "d2"))
    for before in list(STAGES)[: list(STAGES).index(stage)]:
        run_stage(services, before)
    raised(services, table, "new")
    for turn in range(1, 4):
        run_stage(services, stage)
        row = signal_row(services, "new")
        assert (row["state"], row["stage"], row["attempts"], row["claim_id"]) == ("parked", stage, 0, None)
        assert 0 < (row["due_at"] - clock.now()).total_seconds() <= 61
        assert trail_of(services, "new").count("parked") == turn
        assert run_stage(services, stage) == []
        clock.move(seconds=61)
        offer_due(services)
    assert signal_row(services, "old")["stage"] != stage
    assert dead_letters_of(services) == []
    rows(services, f"UPDATE {table} SET schema_version = 1")
    run_stage(services, stage)
    assert signal_row(services, "new")["stage"] != stage


def test_a_row_that_no_worker_can_read_is_buried_when_its_time_is_over(services: Services, clock: MovableClock) -> None:
    put(services, call("new"))
    raised(services, "signals", "new")
    run_stage(services, "enrich")
    clock.move(days=2)
    offer_due(services)
    run_stage(services, "enrich")
    assert (signal_row(services, "new")["disposition"], dead_letters_of(services)) == (
        "dead_lettered",
        ["expired_waiting"],
    )


@pytest.mark.parametrize("maybe_done", [False, True])
def test_an_action_of_a_later_release_is_not_carried_out_and_what_is_unsure_stays_unsure(
    services: Services, clock: MovableClock, hubspot: FakeAdapter, maybe_done: bool
) -> None:
    put(services, call("new"))
    run_to(services, "execute")
    raised(services, "actions", "new")
    if maybe_done:
        rows(services, "UPDATE actions SET maybe_done = true, tried_at = :now, first_tried_at = :now", now=clock.now())
    question = "SELECT state, attempts, maybe_done, reason FROM actions WHERE adapter = 'hubspot'"
    for _ in range(3):
        run_act(services)
        assert one(services, question) == {
            "state": "ready",
            "attempts": 0,
            "maybe_done": maybe_done,
            "reason": "newer_version",
        }
        clock.move(seconds=61)
        offer_due(services)
    assert hubspot.log == []
    rows(services, "UPDATE actions SET schema_version = 1")
    run_act(services)
    assert one(services, question)["state"] == "done"
    assert hubspot.count("perform") == 1


def dead_letters_of(services: Services) -> list[str]:
    with transaction(services.engine) as tx:
        return [letter["reason"] for letter in dead_letters.listing(tx)]


def deliver(services: Services, message: Any) -> list[str]:
    """Hand a message to the task as a worker does; returns what was logged."""
    app = make_app(services.settings)
    app.services = services

    class Enrich(StageTask):
        name = "enrich"

        def run(self, given: Any) -> Any:
            return self.run_stage(STAGES["enrich"], given)  # type: ignore[arg-type]

    with capture_logs() as logged:
        app.register_task(Enrich()).apply(args=[message], throw=True)
    app.close()
    return [str(entry["event"]) for entry in logged]


def test_a_message_of_a_later_release_is_left_to_the_sweep_and_burns_nothing(
    services: Services, clock: MovableClock
) -> None:
    put(services, call("a"))
    (chunk,) = sent(services, "signals", "stage = 'enrich'")
    before = signal_row(services, "a")
    take_messages(services, "enrich")
    assert deliver(services, {**chunk.to_message(), "v": MESSAGE_VERSION + 1, "send": {"no": chunk.send_no}}) == [
        "newer_message"
    ]
    assert (signal_row(services, "a"), dead_letters_of(services)) == (before, [])
    clock.move(seconds=9)
    assert not any(sweep.sweep(services).values())
    clock.move(seconds=2)
    assert sweep.sweep(services)["message_lost"] == 1
    offer_due(services)
    run_stage(services, "enrich")
    row = signal_row(services, "a")
    assert (row["state"], row["deaths"]) == ("enriched", 0)


@pytest.mark.parametrize("version", [None, 0, -1, "1", 1.5, True])
def test_a_message_without_a_version_that_was_ever_sent_is_a_dead_letter(services: Services, version: object) -> None:
    assert "unreadable_message" in deliver(services, {"v": version, "send": 1, "ids": []})
    assert dead_letters_of(services) == ["unreadable_message"]


def test_fields_that_a_later_release_adds_to_a_message_are_left_alone() -> None:
    message = {"v": 1, "send": 7, "ids": [str(stable_id("a"))], "lane": "fast", "hints": {"n": 1}}
    assert Chunk.from_message(message) == Chunk((stable_id("a"),), 7)
