"""Bombora's files as signals: every layout that was seen, and rows of every fault."""

import contextlib
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bombora import source as bombora
from adapters.bombora.domains import domain
from adapters.bombora.source import BomboraSource
from adapters.bombora.weeks import week, week_in_name
from revpipe.errors import BadPayload, SourceNotConfigured, Unauthorised
from revpipe.ports import Accepted, Delivery, InboundRequest, Refused

NOW = datetime(2026, 5, 6, 9, 0, tzinfo=UTC)
SOURCE = BomboraSource(("new-token", "old-token"))
HEADING = "Domain,Topic,Composite Score,Date"
WEEK = "/imports/bombora;week=2026-05-03"

# Made-up rows in the layouts that Bombora's samples (A, B), a public loader (C) and its report exports (D) have.
MASTER_2015 = """\
Acme Corp,acme.example,"10,001+ employees",Software,CRM,revenue operations,78,"orange county, ca[81]|[64]",US
,globex.example,,,CRM,revenue operations,41,,US
"""
ALL_DOMAINS = """\
Acme Corp,acme.example,myself only,Software,CRM,revenue operations,78,A1,boston area,81,B2,US
Acme Corp,acme.example,myself only,Software,CRM,revenue operations,78,A1,orange county,64,B2,US
"""
MASTER_2023 = """\
Company,Domain,Size,Industry,Category,Topic,Composite Score,Metro Area,Domain Origin,Bucket Code,Date Stamp
Acme Corp,acme.example,1001-5000 employees,Software,CRM,Revenue Operations,78,boston area[81]|[64],US,2132,2026-05-03
,globex.example,,,CRM,Revenue Operations,41,"orange county, california area[77]",US,3421,2026-05-03
"""
COMPREHENSIVE = """\
Date,Company Name,Domain,Company Size,Industry,Topic ID,Topic Name,Topic Category,Composite_Score,\
Composite Score Delta,Metro Area,Metro Composite Score,Country,Domain Origin,LinkedIn URL
5/3/2026,Acme Corp,ACME.example,51-200 employees,Software,1234,Revenue Operations,CRM,78,New,,,France,US,
5/3/2026,Globex,globex.example,,,1234,Revenue Operations,CRM,,,,,,US,
"""


def read(body: str | bytes, target: str = WEEK) -> list[Accepted | Refused]:
    raw = body.encode() if isinstance(body, str) else body
    request = InboundRequest("POST", target, {}, raw, NOW)
    return list(SOURCE.normalise(Delivery(uuid.uuid4(), uuid.uuid4(), "bombora", request)))


def read_rows(*rows: str, target: str = WEEK) -> list[Accepted | Refused]:
    return read("\n".join([HEADING, *rows]), target)


def accepted(results: list[Accepted | Refused]) -> list[Accepted]:
    assert all(isinstance(one, Accepted) for one in results), results
    return [one for one in results if isinstance(one, Accepted)]


def refused(*rows: str, target: str = WEEK) -> Refused:
    (one,) = [one for one in read_rows(*rows, target=target) if isinstance(one, Refused)]
    return one


@pytest.mark.parametrize("body", [MASTER_2015, MASTER_2023, COMPREHENSIVE], ids=["2015", "2023", "comprehensive"])
def test_each_layout_tells_the_same_surge(body: str) -> None:
    surge, other = accepted(read(body))
    signal = surge.signal
    assert (signal.signal_type, signal.event, signal.urgency, signal.confidence) == (
        "intent",
        "intent.surge",
        "low",
        0.78,
    )
    assert (surge.suppressed, signal.domain, signal.subject) == (None, "acme.example", f"signal:{signal.signal_id}")
    wanted = {
        "domain": "acme.example",
        "company_name": "Acme Corp",
        "score": 78,
        "week": "2026-05-03",
        "category": "CRM",
    }
    assert {name: signal.payload[name] for name in wanted} == wanted
    assert signal.payload["topic"].lower() == "revenue operations"
    assert (signal.fired_at, signal.received_at) == (datetime(2026, 5, 3, tzinfo=UTC), NOW)
    assert other.suppressed == ("no_score" if body == COMPREHENSIVE else "below_threshold")
    assert signal.signal_id == accepted(read(MASTER_2023))[0].signal.signal_id


def test_details_are_kept_as_they_stand() -> None:
    (first, _), (report, _) = accepted(read(MASTER_2015)), accepted(read(COMPREHENSIVE))
    assert first.signal.payload["metro"] == "orange county, ca[81]|[64]"
    assert first.signal.payload["size"] == "10,001+ employees"
    assert (report.signal.payload["topic_id"], report.signal.payload["country"]) == ("1234", "France")


def test_rows_for_each_metropolitan_area_are_one_signal() -> None:
    one, again = accepted(read(ALL_DOMAINS))
    assert one is again
    assert one.signal.payload["metro"] == "boston area"


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("New", {"is_new": True}),
        ("12", {"score_delta": 12, "is_new": False}),
        ("-7", {"score_delta": -7, "is_new": False}),
        ("", {}),
        ("n/a", {}),
    ],
)
def test_a_delta_may_be_a_number_or_the_word_new(word: str, told: dict[str, Any]) -> None:
    (one,) = accepted(read(f"{HEADING},Delta\nacme.example,crm,70,2026-05-03,{word}"))
    assert {name: one.signal.payload.get(name) for name in told} == told
    assert one.signal.payload.keys() & {"is_new", "score_delta"} == told.keys()


def test_the_best_score_stands_for_rows_of_one_company_topic_and_week() -> None:
    rows = ("acme.example,CRM,40,2026-05-03", "b.example,crm,61,2026-05-03", "www.ACME.example,crm ,88,2026-05-05")
    first, other, last = accepted(read_rows(*rows))
    assert first is last
    assert (first.signal.payload["score"], first.suppressed) == (88, None)
    assert other.signal.signal_id != first.signal.signal_id


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 100)), max_size=30))
def test_each_row_has_its_answer_and_each_key_one_signal_with_its_best(rows: list[tuple[str, str, int]]) -> None:
    found = accepted(read_rows(*(f"{name}.example,{topic},{score},2026-05-03" for name, topic, score in rows)))
    assert len(found) == len(rows)
    best: dict[tuple[str, str], int] = {}
    for name, topic, score in rows:
        best[name, topic] = max(best.get((name, topic), 0), score)
    assert len({one.signal.signal_id for one in found}) == len(best)
    for (name, topic, _), one in zip(rows, found, strict=True):
        assert one.signal.payload["score"] == best[name, topic]
        assert (one.suppressed is None) == (best[name, topic] >= 60)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("acme,crm,80,2026-05-03", "bad_domain"),
        ("10.0.0.1,crm,80,2026-05-03", "bad_domain"),
        ("a b.example,crm,80,2026-05-03", "bad_domain"),
        (",crm,80,2026-05-03", "bad_domain"),
        ("acme.example,,80,2026-05-03", "bad_topic"),
        (f"acme.example,{'x' * 201},80,2026-05-03", "bad_topic"),
        ("acme.example,crm,101,2026-05-03", "bad_score"),
        ("acme.example,crm,-1,2026-05-03", "bad_score"),
        ("acme.example,crm,high,2026-05-03", "bad_score"),
        ("acme.example,crm,77.5,2026-05-03", "bad_score"),
        ("acme.example,crm,80,2026-13-03", "bad_week"),
        ("acme.example,crm,80,2026-06-03", "bad_week"),
        ("acme.example,crm,80,1999-06-03", "bad_week"),
        ("acme.example,crm,80", "column_count"),
        ('acme.example,"crm,80,2026-05-03', "column_count"),
        ("acme.example,c\0rm,80,2026-05-03", "nul_byte"),
    ],
)
def test_a_bad_row_is_refused_with_its_heading_and_costs_its_neighbours_nothing(row: str, reason: str) -> None:
    one = refused("a.example,crm,80,2026-05-03", row, "b.example,crm,80,2026-05-03")
    assert (one.reason, one.fragment) == (reason, f"{HEADING}\n{row}".encode())
    assert one.detail
    (again,) = read(one.fragment)
    assert again == one


def test_a_row_in_brackets_is_not_read() -> None:
    with pytest.raises(BadPayload, match="JSON"):
        read(b"[Domain,Composite Score,Date,Topic\nacme.example,80,2026-05-03,]")


def test_a_score_with_a_needless_fraction_is_a_score() -> None:
    (one,) = accepted(read_rows("acme.example,crm,78.0,2026-05-03"))
    assert one.signal.payload["score"] == 78


def test_mailbox_providers_are_no_company() -> None:
    assert [one.suppressed for one in accepted(read_rows("gmail.com,crm,99,2026-05-03"))] == ["no_company"]


def test_the_week_is_the_rows_own_else_the_requests() -> None:
    target = SOURCE.target({"week": "2026-04-28"})
    own, given = accepted(read_rows("a.example,crm,80,2026-05-03", "a.example,crm,80,", target=target))
    assert (own.signal.payload["week"], given.signal.payload["week"]) == ("2026-05-03", "2026-04-26")
    assert own.signal.signal_id != given.signal.signal_id
    assert refused("a.example,crm,80,", target="/imports/bombora").reason == "no_week"


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({"week": "20260503"}, WEEK),
        ({"week": "2026-05-09", "file": "MasterSurgeFile_20250105_1.csv"}, WEEK),
        ({"file": "MasterSurgeFile_20260503_12.csv"}, WEEK),
        ({"file": "report-2026-05-03.csv.gz"}, WEEK),
        ({"file": "report_99999999.csv"}, "/imports/bombora"),
        ({}, "/imports/bombora"),
    ],
)
def test_the_target_keeps_the_week(options: dict[str, str], target: str) -> None:
    assert SOURCE.target(options) == target


@pytest.mark.parametrize(
    ("heading", "reason", "told"),
    [
        ("Domain,Score,Date", "missing_columns", "topic"),
        ("Firm,Subject,Points", "missing_columns", "found: Firm, Subject, Points"),
        ("a,b,c,d,e,f,g,h,i", "missing_columns", "heading"),
        ("Company Name,Domain,Average Score,Topic Count,Date", "summary_report", "comprehensive"),
        ("Domain,Topic,Composite Score", "no_week", "week="),
    ],
)
def test_a_file_without_what_it_needs_is_refused_whole(heading: str, reason: str, told: str) -> None:
    with pytest.raises(BadPayload, match=told) as caught:
        list(SOURCE.batches([heading.encode() + b"\na.example,crm,80\n"], "/imports/bombora"))
    assert caught.value.reason == reason


def test_an_empty_file_is_refused_and_one_of_a_heading_alone_has_no_rows() -> None:
    with pytest.raises(BadPayload, match="empty"):
        list(SOURCE.batches([b" \n\n"], WEEK))
    assert list(SOURCE.batches([HEADING.encode()], WEEK)) == []


@pytest.mark.parametrize("heading", [f"{HEADING}\n", ""])
def test_batches_hold_every_row_once_and_can_be_read_by_themselves(
    heading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bombora, "ROWS", 10)
    row = "a{0}.example,crm,80,2026-05-03\n" if heading else 'Acme,a{0}.example,,,"a\nb",crm,80,,US\n'
    rows = [row.format(number) for number in range(25)]
    batches = list(SOURCE.batches([heading.encode(), "".join(rows).encode()], WEEK))
    assert [batch.rows for batch in batches] == [10, 10, 5]
    assert "".join(batch.body.decode().removeprefix(heading) for batch in batches) == "".join(rows)
    ids = {one.signal.signal_id for batch in batches for one in accepted(read(batch.body))}
    assert len(ids) == 25


def test_batches_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bombora, "BYTES", 200)
    rows = b"".join(b"a%d.example,crm,80,2026-05-03\n" % number for number in range(50))
    batches = list(SOURCE.batches([HEADING.encode() + b"\n" + rows], WEEK))
    assert sum(batch.rows for batch in batches) == 50
    assert max(len(batch.body) for batch in batches) < 300


def ask(token: str | None, target: str = "/imports/bombora", source: BomboraSource = SOURCE) -> None:
    source.verify(InboundRequest("POST", target, {"authorization": token} if token else {}, b"", NOW))


def test_a_token_of_ours_opens_and_nothing_else_does() -> None:
    ask("Bearer new-token")
    ask("bearer old-token")
    for wrong in (None, "", "Bearer", "Bearer ", "Bearer new-tokeN", "Basic new-token", "new-token", "Bearer münchen"):
        with pytest.raises(Unauthorised):
            ask(wrong)
    with pytest.raises(Unauthorised):
        ask("Bearer new-token", "/webhooks/bombora")
    with pytest.raises(SourceNotConfigured):
        ask("Bearer ", source=BomboraSource(()))


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("https://www.Acme.example/about?x=1", "acme.example"),
        ("user@acme.example:8080", "acme.example"),
        ("  WWW.acme.example. ", "acme.example"),
        ("müller.example", "xn--mller-kva.example"),
        ("sub.acme.co.uk", "sub.acme.co.uk"),
        ("www.www.acme.example", "acme.example"),
        ("www.com", "www.com"),
    ],
)
def test_one_spelling_for_each_domain(word: str, wanted: str) -> None:
    assert domain(word) == wanted
    assert domain(wanted) == wanted


@given(st.text(max_size=60))
def test_any_text_is_a_domain_or_refused(word: str) -> None:
    with contextlib.suppress(BadPayload):
        found = domain(word)
        assert found.isascii()
        assert "." in found
        assert domain(found) == found


def test_weeks_begin_on_their_sunday() -> None:
    assert {week(f"2026-05-{day:02}").isoformat() for day in range(3, 10)} == {"2026-05-03"}
    assert week("2026-05-03T00:00:00Z") == week("2026-05-03 00:00:00") == week("05/03/2026")
    assert week_in_name("x_20260504.csv") == week("2026-05-03")
