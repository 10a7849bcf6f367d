"""Files cut into records: whole whatever the pieces, bounded whatever is sent."""

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bombora import records
from adapters.bombora.records import MAX_LINES, MAX_RECORD
from revpipe.errors import BadPayload

BOM = b"\xef\xbb\xbf"
CELLS = st.text(st.sampled_from("ab1 ,;\"'|[]\n\té中="), max_size=12)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=4), min_size=1, max_size=8)


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def cut(body: bytes, size: int = 7) -> list[bytes]:
    return list(records.records(pieces(body, size)))


def reason_of(body: bytes) -> str:
    with pytest.raises(BadPayload) as caught:
        cut(body, 65_536)
    return caught.value.reason


@given(TABLES, st.integers(1, 40), st.booleans())
def test_what_csv_writes_is_read_back_whatever_the_pieces(table: list[list[str]], size: int, packed: bool) -> None:
    written = io.StringIO()
    csv.writer(written).writerows(table)
    body = written.getvalue().encode()
    found = [records.cells(record)[0] for record in cut(gzip.compress(body) if packed else body, size)]
    assert found == [row for row in table if ",".join(row).strip()]


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_cut_or_refused_and_never_changed(body: bytes, size: int) -> None:
    try:
        found = cut(body, size)
    except BadPayload:
        return
    assert b"".join(found).split() == body.removeprefix(BOM).split()


def test_a_byte_order_mark_is_no_part_of_the_first_heading() -> None:
    for body in (BOM + b"domain,x\n", gzip.compress(BOM + b"domain,x\n")):
        assert cut(body) == [b"domain,x\n"]


def test_blank_lines_and_foreign_line_ends_are_nothing_special() -> None:
    assert [records.cells(one)[0] for one in cut(b"a,b\r\n\r\n\nc,d")] == [["a", "b"], ["c", "d"]]


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    body = b'a,"b\n' + b"c,d\n" * (2 * MAX_LINES)
    assert cut(body) == [b'a,"b\n', *[b"c,d\n"] * (2 * MAX_LINES)]
    assert cut(b'x,"y\nc,d\n') == [b'x,"y\n', b"c,d\n"]


def test_a_quote_inside_an_unquoted_field_opens_nothing() -> None:
    assert cut(b'19" rack,a.example\nc,d\n') == [b'19" rack,a.example\n', b"c,d\n"]


def test_packed_files_one_behind_the_other_are_one() -> None:
    assert cut(gzip.compress(b"a,b\n") + gzip.compress(b"c,d\n")) == [b"a,b\n", b"c,d\n"]


def test_a_packed_file_that_ends_in_the_middle_is_told_after_what_could_be_read() -> None:
    body = gzip.compress(b"".join(b"%d,%d\n" % (one, one**7) for one in range(20_000)))
    seen: list[bytes] = []
    with pytest.raises(BadPayload, match="ends in the middle"):
        seen.extend(records.records(pieces(body[: len(body) // 2], 4096)))
    assert len(seen) > 1000


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a" * (MAX_RECORD + 1), "line_too_long"),
        (gzip.compress(b"a" * 5_000_000, mtime=0), "line_too_long"),
        (b"\x1f\x8b" + b"junk" * 10, "bad_gzip"),
        (b"PK\x03\x04" + b"x" * 50, "not_csv"),
        ("a,b\n".encode("utf-16"), "not_csv"),
    ],
)
def test_what_is_no_such_file_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    assert reason_of(body) == reason


def test_unpacked_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_UNPACKED", 100_000)
    assert reason_of(gzip.compress(b"a,b\n" * 50_000)) == "file_too_large"


def test_text_that_is_not_utf8_is_read_as_cp1252_and_says_so() -> None:
    assert records.cells("Müller,x".encode("cp1252")) == (["Müller", "x"], True)
    assert records.cells("Müller,x".encode()) == (["Müller", "x"], False)
    for record, reason in ((b"\x81\xff,x", "not_utf8"), (b"a\0,x", "nul_byte")):
        with pytest.raises(BadPayload) as caught:
            records.cells(record)
        assert caught.value.reason == reason
