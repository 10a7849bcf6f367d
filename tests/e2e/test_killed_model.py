"""The second pass with real processes: a language model killed while it thinks, a worker that dies after."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.sandbox.control_client import Control
from revpipe.local.sockets import free_port
from tests import rabbitmq_server
from tests.e2e import armed, preloaded
from tests.e2e.crm_side import OWNER, Doorstep, Vendors
from tests.e2e.ledger_view import LedgerView
from tests.e2e.processes import ROOT, environment, process, until
from tests.e2e.test_crash_points import Battlefield
from tests.e2e.test_stages_alone import Split
from tests.prepared_ledger import PreparedLedger

THINKS = 3
UNANSWERED = (
    "SELECT signal_id FROM signals WHERE claim_id IS NOT NULL AND queue LIKE 'decide.llm.%'"
    " AND signal_id NOT IN (SELECT signal_id FROM llm_answers)"
    " AND tried_at > (SELECT min(asked_at + latency_ms * interval '1 ms') FROM llm_answers)"
)
"""Those taken up after the first answer came: of those taken up with it the answers may be here and not yet written."""
WANTED = {
    "reason": "The amount fell.",
    "actions": [
        {
            **dict.fromkeys(("deal_id", "account_id", "contact_id", "to")),
            "type": "create_task",
            "subject": "Call the buyer",
            "text": "Agree the paper.",
            "due_in_days": 1,
            "needs_approval": True,
        }
    ],
}


def asking(url: str) -> dict[str, str]:
    """The settings by which Claude is asked at `url`."""
    return {"LLM_PROVIDER": "anthropic", "ANTHROPIC_API_KEY": "sandbox-key", "ANTHROPIC_BASE_URL": f"{url}/anthropic"}


def big_deals(vendors: Vendors, count: int) -> list[str]:
    """Deals in good order that are worth asking about: no rule says anything on an edit of theirs."""
    close = (datetime.now(UTC) + timedelta(days=60)).strftime("%Y-%m-%dT00:00:00Z")
    active = (datetime.now(UTC) - timedelta(days=1)).isoformat(timespec="milliseconds")
    deals = [
        {
            "type": "deal",
            "id": vendors.new_id(),
            "properties": {
                "dealname": f"Big {number}",
                "deal_currency_code": "EUR",
                "pipeline": "default",
                "dealstage": "presentationscheduled",
                "hubspot_owner_id": OWNER,
                "closedate": close,
                "notes_last_updated": active,
                "amount": "20000",
            },
        }
        for number in range(count)
    ]
    ids: list[str] = vendors.control.seed({"hubspot": {"objects": deals}})["hubspot"]
    return ids


class Model:
    """A simulated provider as a process of its own, to be killed."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "adapters.sandbox", "--port", port]
        self.popen = subprocess.Popen(command, cwd=ROOT, env=environment({}), stdout=subprocess.PIPE)
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline().startswith(b"sandbox http")
        self.control = Control(self.url)

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(30)


@contextmanager
def model() -> Iterator[Model]:
    made = Model()
    try:
        made.control.call("POST", "knobs", {"anthropic": {"mode": "scripted", "script": WANTED}})
        made.control.fault("anthropic", "latency", seconds=THINKS)
        yield made
    finally:
        made.kill()
        assert made.popen.stdout is not None
        made.popen.stdout.close()


@pytest.mark.timeout(240)
def test_a_model_killed_while_it_thinks_leaves_the_signals_to_the_fallback(
    vendors: Vendors, folders: Path, empty_ledger: PreparedLedger
) -> None:
    port, folder = free_port(), empty_ledger.plant(folders / "second")
    url = f"http://127.0.0.1:{port}"
    with model() as llm:
        settings = {
            **vendors.web_settings(url),
            **vendors.hubspot_settings,
            **vendors.slack_settings,
            **rabbitmq_server.settings(),
            **asking(llm.url),
        }
        log = folders / "second.log"
        with process(settings, log, "up", "--port", str(port), "--data-dir", str(folder)) as up:
            up.says("logs ")
            ledger = LedgerView(folder, "/")
            try:
                deals = big_deals(vendors, 8)
                door = Doorstep(url, vendors)
                for deal in deals:
                    assert door.hubspot(vendors.edit(deal, amount="17000")).status == 202
                until(lambda: len(plans(ledger, deals, "llm")) >= 2, "two decisions by the model")
                in_hand = until(lambda: ledger.rows(UNANSWERED), "signals that the model thinks about")
                killed = datetime.now(UTC)
                llm.kill()
                until(lambda: len(plans(ledger, deals)) == len(deals), "all decisions", 60)
                assert datetime.now(UTC) - killed < timedelta(seconds=40)
                check(ledger, deals, [one["signal_id"] for one in in_hand], killed)
                tell(folder, settings, plans(ledger, deals, "fallback")[0], plans(ledger, deals, "llm")[0])
            finally:
                ledger.close()
            assert up.stop() == 0


def plans(ledger: LedgerView, deals: list[str], by: str | None = None) -> list[dict[str, Any]]:
    return ledger.rows(
        "SELECT p.*, s.received_at FROM plans p JOIN signals s USING (signal_id) WHERE s.deal_id = ANY(:deals)"
        " AND (CAST(:by AS text) IS NULL OR decided_by = :by) ORDER BY p.created_at",
        deals=deals,
        by=by,
    )


def check(ledger: LedgerView, deals: list[str], in_hand: list[Any], killed: datetime) -> None:
    """Everybody decided, in time; those in hand by the fallback; the model's own wait for a person."""
    answers = ledger.rows("SELECT signal_id, asked_at, latency_ms FROM llm_answers WHERE outcome = 'answered'")
    came = {one["signal_id"]: one["asked_at"] + timedelta(milliseconds=one["latency_ms"]) for one in answers}
    # An answer may have come between the look at what was in hand and the kill.
    in_hand = [one for one in in_hand if one not in came or came[one] > killed]
    found = plans(ledger, deals)
    assert {one["decided_by"] for one in found} == {"llm", "fallback"}
    left = [one for one in found if one["decided_by"] == "fallback"]
    assert {one["why"]["llm"]["outcome"] for one in left} <= {"transient", "timed_out", "circuit_open"}
    assert in_hand
    assert {one["decided_by"] for one in found if one["signal_id"] in in_hand} == {"fallback"}
    assert all(one["created_at"] - one["received_at"] < timedelta(minutes=15) for one in found)
    until(lambda: not open_signals(ledger, deals), "the end of all that the fallback decided")
    assert ledger.rows("SELECT 1 FROM dead_letters") == []
    assert {one["state"] for one in ledger.actions_of(deals)} <= {"planned", "awaiting_approval"}


def open_signals(ledger: LedgerView, deals: list[str]) -> list[dict[str, Any]]:
    return ledger.rows(
        "SELECT 1 FROM signals s JOIN plans p USING (signal_id) WHERE s.deal_id = ANY(:deals)"
        " AND p.decided_by = 'fallback' AND s.state <> 'done'",
        deals=deals,
    )


def tell(folder: Path, settings: dict[str, str], fallback: dict[str, Any], llm: dict[str, Any]) -> None:
    """What a person on call reads of it."""
    here = {**settings, "REVPIPE_DATA_DIR": str(folder)}
    assert (
        "the fallback decided, not claude-haiku-4-5: "
        in preloaded.run(here, "trace", str(fallback["signal_id"])).stdout
    )
    told = preloaded.run(here, "trace", str(llm["signal_id"])).stdout
    assert "claude-haiku-4-5 decided in " in told
    assert "The amount fell." in told
    used = json.loads(preloaded.run(here, "llm", "usage", "--json").stdout)
    assert used["usage"][0]["calls"] >= 2
    assert used["usage"][0]["cost_usd"] > 0
    assert 0 < used["today"]["left"]["tokens"] < 2_000_000
    assert "claude-haiku-4-5" in preloaded.run(here, "llm", "usage", "--since", "1d").stdout


@pytest.mark.timeout(240)
def test_a_worker_that_dies_between_answer_and_plan_asks_nobody_twice(
    vendors: Vendors, folders: Path, empty_ledger: PreparedLedger
) -> None:
    split = Split(empty_ledger.plant(folders / "answered"), vendors)
    store = vendors.server.world.models["anthropic"]
    store.knobs.mode, store.knobs.script = "scripted", WANTED
    before = len(store.asked)
    try:
        field = Battlefield(split, vendors, folders)
        field.settings |= asking(vendors.server.url)
        with preloaded.process(field.settings, field.log, "web", "--port", str(field.port), "--processes", "1"):
            until(field.listens, "the web process")
            (deal,) = big_deals(vendors, 1)
            assert Doorstep(field.url, vendors).hubspot(vendors.edit(deal, amount="17000")).status == 202
            armed.killed_themselves([field.start(armed.worker, "llm.answered")], field.log)
            assert plans(split.ledger, [deal]) == []
            assert len(store.asked) == before + 1
            with (
                preloaded.process(field.settings, field.log, "keeper"),
                preloaded.process(field.settings, field.log, "worker", "-c", "4", "all"),
            ):
                split.ledger.action_in(deal, "create_task", "awaiting_approval")
        (plan,) = plans(split.ledger, [deal])
        assert (plan["decided_by"], plan["why"]["llm"]["reused"]) == ("llm", True)
        assert len(store.asked) == before + 1
    finally:
        store.knobs.mode = "careful"
        split.ledger.close()
