"""`revpipe rules`: the rules file, checked."""

from pathlib import Path

import click

from config.settings import load
from revpipe.bootstrap import load_rules


@click.group()
def rules() -> None:
    """The rules that decide."""


@rules.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path | None) -> None:
    """Check FILE, or config/rules.yaml, as every process does at its start."""
    book = load_rules(load(), file)
    click.echo(f"{len(book.rules)} rules, version {book.version}: no fault found")
