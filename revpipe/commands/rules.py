"""`revpipe rules`: the rules file, checked."""

from pathlib import Path

import click

from revpipe import rules as engine
from revpipe.bootstrap import load_policy, load_rules


@click.group()
def rules() -> None:
    """The rules that decide."""


@rules.command()
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(file: Path | None) -> None:
    """Check FILE, or config/rules.yaml, as every process does at its start."""
    if file is None:
        book = load_rules()
    else:
        book = engine.load(file.read_text(encoding="utf-8"), dict.fromkeys(load_policy()), file.name)
    click.echo(f"{len(book.rules)} rules, version {book.version}: no fault found")
