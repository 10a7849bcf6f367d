"""`revpipe import`: files of bulk data, straight into the ledger."""

from collections.abc import Iterator
from pathlib import Path

import click

from revpipe import imports
from revpipe.bootstrap import for_web
from revpipe.commands.context import as_json, ledger
from revpipe.ports import FileSource
from revpipe.terminal import say

BLOCK = 65_536


@click.group("import")
def import_() -> None:
    """Take in a file. One that broke off is imported again whole: no row is taken twice."""


@import_.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--week", help="A day of the week (YYYY-MM-DD) of rows that have no date; else the file's name tells.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def bombora(file: Path, week: str | None, *, json_: bool) -> None:
    """Bombora's Company Surge: CSV, packed by gzip or not."""
    options = {"file": file.name, **({"week": week} if week else {})}
    with ledger(for_web) as services:
        source = services.sources["bombora"]
        assert isinstance(source, FileSource)
        try:
            done = imports.take(source, _pieces(file), services, options)
        except imports.FileRefused as error:
            raise click.ClickException(f"{error.reason}: {error.advice}") from error
    if json_:
        as_json(done.as_dict())
        return
    ignored = "".join(f" · {count:,} {reason.replace('_', ' ')}" for reason, count in sorted(done.ignored.items()))
    say(
        f"{done.rows:,} rows: {done.accepted:,} accepted · {done.duplicates:,} duplicates"
        f" · {done.rejected:,} rejected{ignored}"
    )
    say(f"import {done.import_id}" + ("; see: revpipe deadletters list --stage ingest" if done.rejected else ""))


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(BLOCK):
            yield piece
