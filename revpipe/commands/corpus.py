"""`revpipe corpus`: made-up signals on which rules can be tried without a ledger."""

from pathlib import Path

import click

from config.settings import Settings
from revpipe.bootstrap import load_needs, load_sources
from revpipe.commands.context import as_json
from revpipe.corpus.making import Wish, lines
from revpipe.corpus.reading import SIGNALS
from revpipe.corpus.writing import write
from revpipe.terminal import say


@click.command()
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--signals", type=click.IntRange(100, 1_000_000), default=5_000, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder to write.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def corpus(seed: int, signals: int, out: Path, *, json_: bool) -> None:
    """Write a fortnight of a made-up HubSpot portal, for `revpipe rules simulate|share|diff --corpus OUT`.

    Its README says what is in it and why.
    """
    if any(out.glob("*")) and not (out / SIGNALS).is_file():
        raise click.UsageError(f"{out} holds something else; name a folder that is new, empty, or a corpus")
    wish = Wish(seed, signals)
    events = write(out, wish, lines(wish, load_sources(Settings()), load_needs()))
    if json_:
        as_json({"folder": str(out), "seed": seed, "signals": signals, "events": dict(events.most_common())})
    else:
        say(f"{signals} signals in {out}; look: revpipe rules share --corpus {out}")
