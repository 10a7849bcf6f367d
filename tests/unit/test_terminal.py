"""A vendor's text must not steer the terminal of the person who reads a trace."""

from revpipe.terminal import plain


def test_escape_sequences_are_spelled_out():
    assert plain("Acme\x1b[2J\x1b]0;owned\x07") == "Acme\\x1b[2J\\x1b]0;owned\\x07"


def test_a_carriage_return_can_t_overwrite_the_line():
    assert plain("done\rfailed") == "done\\rfailed"


def test_ordinary_text_and_line_ends_stay():
    assert plain("Zoë – Größe 10 €\n\tnext") == "Zoë – Größe 10 €\n\tnext"


def test_direction_marks_are_spelled_out():
    assert plain("abc\u202edef") == "abc\\u202edef"
