"""What an edit changed: nothing is lost between the two texts, and what stayed is not marked."""

from hypothesis import given
from hypothesis import strategies as st

from revpipe.web.console.diffs import MOST, Piece, changes, pieces

TEXTS = st.text("ab \n.,ä", max_size=60)


@given(TEXTS, TEXTS)
def test_the_pieces_hold_both_texts(before: str, after: str) -> None:
    found = pieces(before, after)
    assert "".join(one.text for one in found if one.kind != "new") == before
    assert "".join(one.text for one in found if one.kind != "gone") == after
    assert all(one.text for one in found)


def test_words_that_stayed_are_kept_as_they_are() -> None:
    assert pieces("Does Tuesday suit you?", "Does Friday suit you?") == [
        Piece("kept", "Does "),
        Piece("gone", "Tuesday"),
        Piece("new", "Friday"),
        Piece("kept", " suit you?"),
    ]


def test_a_very_long_text_is_compared_by_lines_and_then_as_a_whole() -> None:
    lines = "".join(f"{at} a b c d e\n" for at in range(MOST - 10))
    found = pieces(lines, lines.replace("7 a b", "7 x b", 1))
    assert [one.text for one in found if one.kind == "new"] == ["7 x b c d e\n"]
    many = "a\n" * (MOST + 1)
    assert pieces(many, many + "b") == [Piece("gone", many), Piece("new", many + "b")]


def test_only_fields_that_differ_are_told_of_and_entries_of_a_mapping_each() -> None:
    before = {"subject": "a", "body": "b", "properties": {"stage": "x", "step": "y"}}
    after = {"subject": "a", "body": "c", "properties": {"stage": "x", "step": "z"}}
    assert [one.label for one in changes(before, after)] == ["Text", "step"]
    assert changes(before, before) == []
