"""Files into the ledger: every row once, whatever breaks, and every bad one in plain sight."""

import gzip
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import IntegrityError
from werkzeug.test import TestResponse

from adapters.bombora.source import ROWS, BomboraSource
from revpipe import imports, replays
from revpipe.ports import Accepted, Batch, Delivery, Refused
from revpipe.replays import Word
from revpipe.services import Services
from revpipe.web.app import MAX_BODY, create_app
from tests.integration.ledger_fixtures import FakeProvider, MovableClock, one, rows, run_stage

TOKEN = "a-token-of-ours"
HEADING = "Company,Domain,Topic,Composite Score,Date"
SOURCE = BomboraSource((TOKEN, "the-one-before"))


@pytest.fixture
def importing(services: Services) -> Services:
    return replace(services, sources={"bombora": SOURCE})


@pytest.fixture
def web(importing: Services) -> FlaskClient:
    return create_app(importing).test_client()


def row(number: int, score: object = 80, domain: str | None = None) -> str:
    return f"Company {number},{domain or f'c{number}.example'},Data Pipelines,{score},2026-05-03"


def file_of(*lines: str) -> bytes:
    return "\n".join([HEADING, *lines, ""]).encode()


def send(web: FlaskClient, body: bytes, token: str = TOKEN, **query: str) -> TestResponse:
    return web.post("/imports/bombora", data=body, query_string=query, headers={"Authorization": f"Bearer {token}"})


def counts(answer: TestResponse) -> tuple[int, int, int, int]:
    assert answer.status_code == 202, answer.text
    told = answer.json or {}
    return told["rows"], told["accepted"], told["duplicates"], told["rejected"]


def the_import(services: Services) -> dict[str, Any]:
    return one(services, "SELECT * FROM imports ORDER BY began_at DESC, import_id DESC LIMIT 1")


def test_a_file_goes_in_by_batches_that_are_deliveries_of_their_own(importing: Services, web: FlaskClient) -> None:
    lines = [row(number, 59 if number % 4 == 0 else 60) for number in range(ROWS + 400)]
    answer = send(web, file_of(*lines), file="part_1.csv")
    assert counts(answer) == (ROWS + 400, (ROWS + 400) * 3 // 4, 0, 0)
    told = the_import(importing)
    assert str(told["import_id"]) == (answer.json or {})["import_id"]
    assert (told["state"], told["name"], told["deliveries"]) == ("done", "part_1.csv", 2)
    assert told["ignored"] == {"below_threshold": (ROWS + 400) // 4} == (answer.json or {})["ignored"]
    deliveries = rows(importing, "SELECT * FROM deliveries ORDER BY received_at, delivery_id")
    assert {one["correlation_id"] for one in deliveries} == {told["import_id"]}
    assert sum(one["accepted"] for one in deliveries) == told["accepted"]
    kept = [line for one in deliveries for line in one["body"].decode().splitlines() if line != HEADING]
    assert sorted(kept) == sorted(lines)
    assert one(importing, "SELECT count(*) AS n FROM signals WHERE event = 'intent.surge' AND priority = 'low'") == {
        "n": told["accepted"]
    }
    assert one(importing, "SELECT sum(n) AS n FROM tallies WHERE name = 'accepted'") == {"n": told["accepted"]}
    assert one(importing, "SELECT count(*) AS n FROM trail WHERE what = 'received'") == {"n": told["accepted"]}
    sent = one(importing, "SELECT count(*) AS n FROM signals WHERE sent_at IS NOT NULL")["n"]
    assert 0 < sent <= told["accepted"]


def test_the_same_file_again_is_all_duplicates(importing: Services, web: FlaskClient, clock: MovableClock) -> None:
    body = file_of(*(row(number) for number in range(30)))
    assert counts(send(web, body)) == (30, 30, 0, 0)
    clock.move(days=1)
    assert counts(send(web, gzip.compress(body))) == (30, 0, 30, 0)
    assert one(importing, "SELECT count(*) AS n FROM signals") == {"n": 30}
    assert one(importing, "SELECT sum(count) AS n FROM counters WHERE name = 'duplicates:bombora'") == {"n": 30}


def test_rows_that_are_no_surge_or_say_the_same_twice_add_up(importing: Services, web: FlaskClient) -> None:
    lines = [row(1), row(1, 90), row(2, 59), row(2, 58), row(3, ""), row(4, 99, "gmail.com"), row(5, "high"), row(6)]
    answer = send(web, file_of(*lines))
    assert counts(answer) == (8, 2, 1, 1)
    told = the_import(importing)
    assert told["ignored"] == {"below_threshold": 2, "no_score": 1, "no_company": 1}
    assert told["rows"] == told["accepted"] + told["duplicates"] + told["rejected"] + sum(told["ignored"].values())
    best = one(importing, "SELECT payload FROM signals WHERE payload->>'domain' = 'c1.example'")
    assert best["payload"]["score"] == 90


class TornError(Exception):
    """What reading the rest of a file raises when its sender is gone."""


def torn(body: bytes) -> Iterator[bytes]:
    yield body
    raise TornError


def test_a_file_that_breaks_off_leaves_whole_batches_and_sent_again_takes_the_rest(importing: Services) -> None:
    lines = [row(number) for number in range(ROWS + 300)]
    whole = file_of(*lines)
    with pytest.raises(TornError):
        imports.take(SOURCE, torn(whole[:-500]), importing)
    told = the_import(importing)
    assert (told["state"], told["reason"], told["rows"], told["accepted"]) == ("broken", "TornError", ROWS, ROWS)
    again = imports.take(SOURCE, io.BytesIO(whole), importing)
    assert (again.rows, again.accepted, again.duplicates) == (ROWS + 300, 300, ROWS)
    assert one(importing, "SELECT count(*) AS n FROM signals") == {"n": ROWS + 300}


def test_a_batch_that_the_ledger_refuses_leaves_nothing_of_itself(importing: Services) -> None:
    class SecondIsTooMuch(BomboraSource):
        def batches(self, pieces: Any, target: str) -> Iterator[Batch]:
            first, *others = super().batches(pieces, target)
            yield first
            rows(importing, "ALTER TABLE trail ADD CONSTRAINT full_up CHECK (false) NOT VALID")
            yield from others

    body = [file_of(*(row(number) for number in range(ROWS + 10)))]
    source = SecondIsTooMuch((TOKEN,))
    try:
        with pytest.raises(IntegrityError):
            imports.take(source, body, importing)
    finally:
        rows(importing, "ALTER TABLE trail DROP CONSTRAINT full_up")
    told = the_import(importing)
    assert (told["state"], told["deliveries"], told["rows"]) == ("broken", 1, ROWS)
    assert one(importing, "SELECT count(*) AS n FROM signals") == {"n": ROWS}
    assert one(importing, "SELECT count(*) AS n FROM deliveries") == {"n": 1}
    assert imports.take(SOURCE, body, importing).accepted == 10


def test_a_file_with_too_many_bad_rows_is_refused_before_anything_of_the_batch_is_taken(
    importing: Services, web: FlaskClient
) -> None:
    bad = [row(number, "high") for number in range(imports.MOST_REJECTED)]
    assert counts(send(web, file_of(row(500), *bad))) == (101, 1, 0, 100)
    answer = send(web, file_of(row(501), *bad, row(1, 400)))
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    told = answer.json or {}
    assert (told["title"], told["status"]) == ("too_many_bad_rows", 400)
    assert "Nothing was taken in. Mend the file" in told["detail"]
    assert "100 × bad_score ('high'" in told["detail"]
    assert one(importing, "SELECT count(*) AS n FROM signals") == {"n": 1}
    last = the_import(importing)
    assert (last["state"], last["reason"], last["rows"]) == ("refused", "too_many_bad_rows", 0)
    assert str(last["import_id"]) in told["detail"]


def test_the_limit_of_bad_rows_is_the_files_and_not_the_batchs(importing: Services, web: FlaskClient) -> None:
    first = [row(number, "high") for number in range(60)] + [row(number) for number in range(ROWS - 60)]
    answer = send(web, file_of(*first, *(row(number, "low") for number in range(60))))
    assert answer.status_code == 400
    assert f"{ROWS:,} rows before that are in" in (answer.json or {})["detail"]
    assert the_import(importing)["accepted"] == ROWS - 60


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"Domain,Composite Score,Date\na.example,80,2026-05-03\n", "missing_columns"),
        (b"Domain,Topic,Composite Score\na.example,crm,80\n", "no_week"),
        (b"", "empty"),
        (gzip.compress(file_of(row(1)), mtime=0)[:-9], "bad_gzip"),
        (b"PK\x03\x04 a workbook", "not_csv"),
    ],
)
def test_a_file_that_can_not_be_read_is_refused_whole(
    importing: Services, web: FlaskClient, body: bytes, reason: str
) -> None:
    answer = send(web, body)
    assert (answer.status_code, (answer.json or {})["title"]) == (400, reason)
    told = the_import(importing)
    assert (told["state"], told["reason"], told["deliveries"]) == ("refused", reason, 0)
    assert one(importing, "SELECT count(*) AS n FROM deliveries") == {"n": 0}


def test_the_week_may_come_with_the_request_and_stays_with_the_delivery(importing: Services, web: FlaskClient) -> None:
    body = b"Domain,Topic,Composite Score\na.example,crm,80\n"
    assert counts(send(web, body, week="2026-05-05")) == (1, 1, 0, 0)
    assert counts(send(web, body, file="Master_20260503_1.csv")) == (1, 0, 1, 0)
    assert send(web, body, week="soon").status_code == 400
    assert one(importing, "SELECT payload->>'week' AS week FROM signals") == {"week": "2026-05-03"}
    assert {row["target"] for row in rows(importing, "SELECT target FROM deliveries")} == {
        "/imports/bombora;week=2026-05-03"
    }


def test_only_a_token_of_ours_opens_the_door(importing: Services, web: FlaskClient) -> None:
    assert send(web, file_of(row(1)), token="the-one-before").status_code == 202
    for token in ("", "another"):
        assert send(web, file_of(row(2)), token=token).status_code == 401
    assert web.post("/imports/bombora", data=file_of(row(2))).status_code == 401
    closed = create_app(replace(importing, sources={"bombora": BomboraSource(())})).test_client()
    answer = send(closed, file_of(row(2)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert one(importing, "SELECT count(*) AS n FROM imports") == {"n": 1}
    assert one(importing, "SELECT sum(count) AS n FROM counters WHERE name = 'unauthorised:bombora'") == {"n": 3}


def test_what_is_no_file_of_ours_is_told_so(web: FlaskClient) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert web.post("/imports/hubspot", data=b"x", headers=headers).status_code == 404
    form = web.post("/imports/bombora", data={"file": (io.BytesIO(b"x"), "x.csv")}, headers=headers)
    assert form.status_code == 415
    assert web.post("/webhooks/bombora", data=file_of(row(1)), headers=headers).status_code == 401
    web.application.config["MOST_FILE_BYTES"] = 50
    assert send(web, file_of(row(1), row(2))).status_code == 413


def test_a_file_may_be_longer_than_a_webhook(importing: Services, web: FlaskClient) -> None:
    details = "x" * 900
    lines = [f"{details},c{number}.example,crm,59,2026-05-03" for number in range(1_200)]
    body = file_of(*lines)
    assert len(body) > MAX_BODY
    assert counts(send(web, body)) == (1_200, 0, 0, 0)
    assert the_import(importing)["deliveries"] == 2


class MendedSource(BomboraSource):
    """The source of a later release, which knows what `high` means."""

    def normalise(self, delivery: Delivery) -> Iterator[Accepted | Refused]:
        request = replace(delivery.request, body=delivery.request.body.replace(b",high,", b",90,"))
        return super().normalise(replace(delivery, request=request))


def test_a_bad_row_is_a_dead_letter_that_can_be_replayed_by_itself(importing: Services, clock: MovableClock) -> None:
    done = imports.take(SOURCE, [file_of(row(1), row(2, "high"), row(3, "never"))], importing)
    assert (done.accepted, done.rejected) == (1, 2)
    letter = one(importing, "SELECT * FROM dead_letters WHERE message LIKE '%c2.example%'::bytea")
    assert (letter["stage"], letter["source"], letter["reason"]) == ("ingest", "bombora", "bad_score")
    assert letter["message"] == f"{HEADING}\n{row(2, 'high')}".encode()
    assert letter["correlation_id"] == done.import_id
    clock.move(hours=2)
    mended = replace(importing, sources={"bombora": MendedSource((TOKEN,))})
    ids = [one["letter_id"] for one in rows(importing, "SELECT letter_id FROM dead_letters")]
    assert replays.letters(mended, ids, Word("kim@desk", "test")).counts == {"replayed": 1, "still_bad": 1}
    found = rows(importing, "SELECT payload->>'domain' AS domain, correlation_id FROM signals ORDER BY 1")
    assert [one["domain"] for one in found] == ["c1.example", "c2.example"]
    assert {one["correlation_id"] for one in found} == {done.import_id}


def test_signals_of_one_company_ask_the_crm_once_even_if_it_knows_none(
    importing: Services, provider: FakeProvider, clock: MovableClock
) -> None:
    for file in (1, 2):
        lines = [f"Company,c{number % 10}.example,topic {number} {file},80,2026-05-03" for number in range(150)]
        imports.take(SOURCE, [file_of(*lines)], importing)
        assert [len(chunk.ids) for chunk in run_stage(importing, "enrich")] == [150]
        assert [len(some) for some in provider.calls] == [150], "the second finds all accounts known"
        clock.move(seconds=1)
    assert set(provider.wanted) == {frozenset({"account"})}
    clock.move(minutes=16)
    imports.take(SOURCE, [file_of("Company,c1.example,another,80,2026-05-03")], importing)
    run_stage(importing, "enrich")
    assert [len(some) for some in provider.calls] == [150, 1]
