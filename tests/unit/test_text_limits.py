"""What a text may hold."""

import pytest

from revpipe.text_limits import LONGEST_LINE, LONGEST_TEXT, fault_of


@pytest.mark.parametrize("text", ["", "Grüße, Ärger & <b>", "a\tb\r\nc", "日本語 🎉", "x" * LONGEST_TEXT])
def test_these_are_sound(text: str) -> None:
    assert fault_of(text) is None


@pytest.mark.parametrize("sign", ["\x00", "\x07", "\x1b", "\x7f", "\ud800"])
def test_these_cannot_be_kept(sign: str) -> None:
    assert fault_of(f"a{sign}b")


@pytest.mark.parametrize("sign", ["\r", "\n", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"])
def test_a_line_is_one_line(sign: str) -> None:
    assert "one line" in str(fault_of(f"a{sign}Bcc: b", one_line=True))


def test_lengths() -> None:
    assert fault_of("x" * (LONGEST_TEXT + 1))
    assert fault_of("x" * LONGEST_LINE, one_line=True) is None
    assert fault_of("x" * (LONGEST_LINE + 1), one_line=True)
