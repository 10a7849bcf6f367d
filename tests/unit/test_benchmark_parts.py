"""The benchmark's own parts: what it sends is what HubSpot would send, and what it says is what was found."""

import json
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from adapters.bombora.source import BomboraSource
from adapters.hubspot.source import HubSpotSource
from config.settings import Settings
from revpipe.errors import Unauthorised
from revpipe.ids import uuid7
from revpipe.ports import Accepted, Delivery, InboundRequest
from revpipe.rules.file import MAX_RULES
from tests.benchmarks import files, many_rules, page, system, targets, webhooks
from tests.benchmarks.crm_api import Crm
from tests.benchmarks.crm_deals import OVERDUE, QUIET, URGENT
from tests.benchmarks.peers import crm, signature
from tests.benchmarks.processes import BenchError, group
from tests.benchmarks.rounds import quantile, quartiles
from tests.benchmarks.webhooks import SECRET, Traffic

URL = "http://127.0.0.1:8000/webhooks/hubspot"
SETTINGS = Settings(hubspot_client_secret=(SECRET,), public_url="http://127.0.0.1:8000")


def delivery(raw: bytes, source: str) -> Delivery:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    request = InboundRequest("POST", first.split(" ")[1], headers, body, datetime.now(UTC))
    assert int(headers["content-length"]) == len(body)
    return Delivery(uuid7(), uuid7(), source, request)


@pytest.mark.parametrize(("field", "urgency"), [("description", "standard"), ("amount", "high")])
def test_what_is_sent_is_a_signed_webhook(field: str, urgency: str) -> None:
    traffic = Traffic(250, per_request=100, act_every=5, first=1_000_000, field=field)
    made = webhooks.requests(traffic, URL)
    source = HubSpotSource(SETTINGS)
    found = []
    for raw in made:
        sent = delivery(raw, "hubspot")
        source.verify(sent.request)
        found += source.normalise(sent)
    signals = [one.signal for one in found if isinstance(one, Accepted) and one.suppressed is None]
    assert len(made) == traffic.requests == 3
    assert len({signal.signal_id for signal in signals}) == 250
    assert {signal.urgency for signal in signals} == {urgency}
    acting = {int(signal.deal_id or 0) for signal in signals if str(signal.deal_id).endswith(str(OVERDUE))}
    assert acting == traffic.acting()
    assert len(acting) == traffic.effects == 50


def test_a_forged_webhook_is_refused_by_product_and_peers() -> None:
    now = int(time.time() * 1000)
    forged = delivery(webhooks.post(URL, b"[]", now, secret=system.FORGED), "hubspot").request
    with pytest.raises(Unauthorised):
        HubSpotSource(SETTINGS).verify(forged)
    given = forged.headers["x-hubspot-signature-v3"]
    assert not signature.holds(SECRET, URL, b"[]", str(now), given)
    assert signature.holds(system.FORGED, URL, b"[]", str(now), given)
    late = str(now - signature.MAX_AGE_MS - 1000)
    old = delivery(webhooks.post(URL, b"[]", int(late)), "hubspot").request.headers["x-hubspot-signature-v3"]
    assert not signature.holds(SECRET, URL, b"[]", late, old)


def test_a_file_has_a_row_for_each_signal_and_one_hot_row_for_each_company() -> None:
    traffic = Traffic(40, act_every=5, companies=True)
    [raw] = files.requests(traffic, "http://127.0.0.1:8000/imports/bombora")
    source = BomboraSource((webhooks.IMPORT_TOKEN,))
    sent = delivery(raw, "bombora")
    source.verify(sent.request)
    signals = [one.signal for one in source.normalise(sent) if isinstance(one, Accepted)]
    assert len(signals) == 40
    hot = [signal.payload["domain"] for signal in signals if signal.payload["score"] == files.HOT]
    assert len(hot) == len(set(hot)) == traffic.effects == len(traffic.acting()) == 8


def test_the_rule_of_the_peers_and_the_crm_agree() -> None:
    traffic = Traffic(10, act_every=5)
    api = Crm()
    for number in range(10):
        path = f"/crm/v3/objects/deals/{traffic.subject(number)}?properties={crm.FIELDS}"
        _, body = api.answer("GET", path, b"")
        assert crm.is_overdue(json.loads(body)["properties"]) == (traffic.subject(number) in traffic.acting())
    assert api.reads == 10


def test_the_crm_tells_deals_apart_and_counts_each_effect_once() -> None:
    api, ids = Crm(), [str(Traffic(1, kind=kind).subject(0)) for kind in (OVERDUE, URGENT)]
    asked = {"inputs": [{"id": one} for one in ids], "properties": ["closedate"], "propertiesWithHistory": ["amount"]}
    status, body = api.answer("POST", "/crm/v3/objects/deals/batch/read", json.dumps(asked).encode())
    found = {one["id"]: one for one in json.loads(body)["results"]}
    assert status == 200
    assert list(found) == ids
    assert len({one["properties"]["closedate"] for one in found.values()}) == 2
    assert all(one["propertiesWithHistory"]["amount"][0]["value"] == "12000" for one in found.values())
    ties = [{"to": {"id": ids[0]}, "types": [{"associationTypeId": 216}]}]
    ties.append({"to": {"id": "30000000000"}, "types": [{"associationTypeId": 192}]})
    task = {"properties": {"hs_task_subject": "x"}, "associations": ties, "objectWriteTraceId": "t"}
    made = {"inputs": [task, task]}
    status, body = api.answer("POST", "/crm/v3/objects/tasks/batch/create", json.dumps(made).encode())
    assert (status, api.effects, api.reads) == (201, 2, 1)
    assert {deal: len(times) for deal, times in api.arrived.items()} == {int(ids[0]): 2}
    assert [one["objectWriteTraceId"] for one in json.loads(body)["results"]] == ["t", "t"]


def test_a_receiver_that_lets_forged_requests_in_is_not_measured(tmp_path: Path) -> None:
    class Gullible(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gullible) as server, group(tmp_path) as nobody:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            with pytest.raises(BenchError, match="forged"):
                system.wait_ready(nobody, f"http://127.0.0.1:{server.server_port}/webhooks/hubspot", 5)
        finally:
            server.shutdown()
            thread.join()


def test_quartiles_and_quantiles() -> None:
    assert quartiles([3.0, 1.0, 2.0, 5.0, 4.0]) == (2.0, 3.0, 4.0)
    assert quartiles([7.0, 9.0]) == (7.0, 8.0, 9.0)
    assert (quantile(range(100), 0.99), quantile([], 0.5), QUIET) == (99, 0.0, 0)


def a_round(per_s: float, accepted: float) -> dict[str, Any]:
    shares = {"vendor_share": 0.02, "load_share": 0.01, "foreign_share": 0.0}
    return {"per_s": per_s, "accepted_per_s": accepted, "signals": 100, "cpu": {"web": 0.2}, **shares}


def findings(ours: float) -> dict[str, Any]:
    contest = {"revpipe": [a_round(ours, 500)] * 4, "celery": [a_round(200, 400)] * 4}
    told = {"p50_ms": 40.0, "p90_ms": 60.0, "p99_ms": 90.0, "most_ms": 95.0, "samples": 100}
    low = {"moved_under_flood": 20, "signals": 20, "last_s": 3.0, "flood_per_s": 900.0, "backlog": True}
    return {
        "about": {"plan": "full", "at": "2026-01-01T00:00:00", "took_s": 9, "processors": 2},
        "contests": {"single act": {**contest, "dbos": [a_round(90, 100)] * 4}, "batch mixed": contest},
        "bare_chain_per_s": [250.0, 260.0],
        "idle": {"revpipe": told, "celery": told},
        "answers": {"revpipe": told},
        "reads": [
            {"deals": 1000, "reads": 70, "least": 70, "most": 70},
            {"deals": 250, "reads": 45, "least": 1, "most": 50},
        ],
        "urgent_behind_bulk": {**told, "bulk": 50_000},
        "low_under_flood": low,
        "rules": {
            "rules": 200,
            "signals": 10,
            "p50_ms": 4.9,
            "p99_ms": 30.0,
            "slowest": {"event": "call.completed", "p50_ms": 9.0},
        },
        "memory_mb": {"web": [100.0, 110.0], "keeper": [100.0, 121.0]},
        "growth": {"batch mixed": {"few": [100.0], "many": [91.0]}},
    }


def verdicts(found: dict[str, Any]) -> dict[str, bool | None]:
    return {row.what: row.met for row in targets.targets(found)}


def test_targets_are_judged_by_medians() -> None:
    slow, fast = verdicts(findings(290)), verdicts(findings(310))
    assert slow["single act, end to end, against Flask + Celery"] is False
    assert fast["single act, end to end, against Flask + Celery"] is True
    assert fast["single act, end to end, against DBOS"] is True
    assert fast["batch mixed, end to end, against Flask + Celery"] is False
    assert fast["file mixed, end to end, against Flask + Celery"] is None
    assert fast["vendor reads for 1,000 bulk signals of 1,000 deals"] is True
    assert fast["vendor reads for 1,000 bulk signals of 250 deals"] is False
    assert fast["200 rules, one signal, p50"] is True
    assert fast["memory after 100,000 signals"] is False
    assert fast["batch mixed at 1 million rows against 10 thousand"] is True


def test_the_book_of_many_rules_is_as_large_as_a_file_may_be() -> None:
    made = many_rules.book()
    assert len(made.rules) == MAX_RULES
    assert len({rule.when for rule in made.rules}) > MAX_RULES / 2
    told = many_rules.measure(100)
    assert told["signals"] == 100
    assert 0 < told["p50_ms"] <= told["p99_ms"]


def test_the_page_holds_what_was_found(tmp_path: Path) -> None:
    page.write(tmp_path, findings(310))
    assert json.loads((tmp_path / "latest.json").read_text())["growth"]["batch mixed"]["many"] == [91.0]
    text = (tmp_path / "README.md").read_text()
    assert "| single act, end to end, against Flask + Celery | ≥ 1.5 × | 1.55 × (1.55 to 1.55) | met |" in text
    drawn = sorted(tmp_path.glob("*.svg"))
    assert [one.stem for one in drawn] == ["idle", "rates-batch", "rates-single", "ratios"]
    for one in drawn:
        assert ET.fromstring(one.read_text()).tag.endswith("svg")
        assert f"]({one.name})" in text
