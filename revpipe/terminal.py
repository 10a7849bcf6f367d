"""Text of strangers on a terminal: what steers the terminal is shown, not obeyed."""

import click


def plain(words: str) -> str:
    """`words` with control characters (but line ends and tabs) spelled out: a deal's name must move no cursor."""
    return "".join(char if char in "\n\t" or char.isprintable() else _spelled(char) for char in words)


def say(words: str = "") -> None:
    """Print a line in which a vendor's, a customer's or an error's text may stand."""
    click.echo(plain(words))


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode()
