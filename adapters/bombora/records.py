"""A file as a stream of records: unpacked, cut into lines, lines joined where a quoted field goes over several.

Everything is bounded, for the sender is trusted with its data, not with our memory: a packed file may unpack to a
thousand times its size, and one stray quotation mark may swallow all that follows it.
"""

import csv
import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from revpipe.errors import BadPayload

MAX_UNPACKED: Final = 1_000_000_000
"""Bytes of a file after unpacking."""
MAX_RECORD: Final = 65_536
"""Bytes of one record: well above a row with its 1,000 characters of metropolitan areas, and below csv's own limit."""
MAX_LINES: Final = 20
"""Lines that one record may go over."""
_BLOCK: Final = 65_536
_GZIP: Final = b"\x1f\x8b"
_STRANGERS: Final = {
    b"PK\x03\x04": "it is a ZIP archive or an Excel workbook; send the CSV itself, or packed by gzip",
    b"\xd0\xcf\x11\xe0": "it is an old Excel workbook; save it as CSV UTF-8",
    b"\xff\xfe": "it is UTF-16; save it as CSV UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as CSV UTF-8",
}
_WHOLE_FIELD: Final = re.compile(rb'(?:^|(?<=,))"(?:[^"]|"")*"(?=,|\r?\n?$)')
_OPEN_FIELD: Final = re.compile(rb'(?:^|,)"')


def records(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The records of a file, as they stand there, blank ones left out.

    Raises BadPayload: not_csv, not_utf8, bad_gzip, line_too_long, file_too_large.
    """
    waiting: deque[bytes] = deque()
    rest = _lines(_bounded(_unpacked(pieces)))
    while line := waiting.popleft() if waiting else next(rest, b""):
        record = _joined(line, waiting, rest) if _is_open(line) else line
        if record.strip():
            yield record


def cells(record: bytes) -> tuple[list[str], bool]:
    """The fields of a record, and whether they had to be read as cp1252 for want of UTF-8.

    Raises BadPayload: not_utf8, nul_byte, not_csv.
    """
    odd = False
    try:
        text = record.decode("utf-8-sig")
    except UnicodeDecodeError:
        odd = True
        try:
            text = record.decode("cp1252")
        except UnicodeDecodeError as error:
            raise BadPayload("not_utf8", f"byte {error.start} of the row is neither UTF-8 nor cp1252") from error
    if "\0" in text:
        raise BadPayload("nul_byte", "the row holds a NUL byte")
    try:
        return next(csv.reader([text]), []), odd
    except csv.Error as error:
        raise BadPayload("not_csv", f"the row is no CSV: {error}") from error


def _joined(line: bytes, waiting: "deque[bytes]", rest: Iterator[bytes]) -> bytes:
    """The record that begins with an open line, or that line alone if it is never closed; lines read stay waiting."""
    whole, count = line, 0
    while len(whole) <= MAX_RECORD and count < MAX_LINES - 1:
        if count == len(waiting):
            following = next(rest, None)
            if following is None:
                return line
            waiting.append(following)
        whole += waiting[count]
        count += 1
        if not _is_open(whole):
            for _ in range(count):
                waiting.popleft()
            return whole
    return line


def _is_open(line: bytes) -> bool:
    """Whether a quoted field of it has no end. A quotation mark inside an unquoted field is only a character."""
    if line.count(b'"') % 2 == 0:
        return False
    return _OPEN_FIELD.search(_WHOLE_FIELD.sub(b"", line)) is not None


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for piece in pieces:
        *whole, held = (held + piece).split(b"\n")
        for line in whole:
            yield _checked(line + b"\n")
        _checked(held)
    if held:
        yield held


def _checked(line: bytes) -> bytes:
    if len(line) > MAX_RECORD:
        raise BadPayload("line_too_long", f"a line is longer than {MAX_RECORD:,} bytes; is it a CSV of rows?")
    return line


def _bounded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_UNPACKED:
            raise BadPayload("file_too_large", f"unpacked it has more than {MAX_UNPACKED:,} bytes; send it in parts")
        yield piece


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    stream = iter(pieces)
    start = b""
    while len(start) < 4 and (piece := next(stream, b"")):
        start += piece
    for magic, advice in _STRANGERS.items():
        if start.startswith(magic):
            raise BadPayload("not_csv", advice)
    if start.startswith(_GZIP):
        yield from _gunzipped(start, stream)
        return
    yield start.removeprefix(b"\xef\xbb\xbf")
    yield from stream


def _gunzipped(start: bytes, stream: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    packed, first = start, True
    try:
        while packed or (packed := next(stream, b"")):
            if unpacker.eof:
                # Several packed files one behind the other are one file (RFC 1952, 2.2).
                unpacker = zlib.decompressobj(wbits=31)
            block = unpacker.decompress(packed, _BLOCK)
            packed = unpacker.unconsumed_tail or unpacker.unused_data
            if block:
                yield block.removeprefix(b"\xef\xbb\xbf") if first else block
                first = False
    except zlib.error as error:
        raise BadPayload("bad_gzip", f"it can't be unpacked: {error}") from error
    if not unpacker.eof:
        raise BadPayload("bad_gzip", "the packed file ends in the middle; send it again, whole")
