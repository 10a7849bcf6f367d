"""`revpipe demo`: the story of three deals over a fortnight."""

import click


@click.command()
def demo() -> None:
    """Play the story."""
