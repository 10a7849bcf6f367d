"""Rules files and stored versions of them, as commands name them, and the signals that they are tried on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from sqlalchemy import Connection, text

from config.settings import Settings, load
from revpipe.bootstrap import load_policy, load_rules, read_rules
from revpipe.commands.context import ledger
from revpipe.commands.moments import MOMENT
from revpipe.corpus.reading import CorpusPast
from revpipe.rules.book import RuleBook
from revpipe.simulating import ledger as ledger_past
from revpipe.simulating import pool
from revpipe.simulating.judge import Trial
from revpipe.simulating.past import Source

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
IN_USE = "config/rules.yaml"


@dataclass(frozen=True, slots=True)
class Trying:
    """The signals that a command tries rules on: those of `past`, received from `since` on and before `until`."""

    settings: Settings
    past: Source
    jobs: int
    since: datetime
    until: datetime
    where: str
    tx: Connection | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    def trial(self, book: RuleBook) -> Trial:
        """A book under the policy of config/actions.yaml."""
        return Trial(book, load_policy())

    def source(self, *books: RuleBook) -> Source:
        """The signals with what these books ask of them."""
        if isinstance(self.past, ledger_past.LedgerPast):
            return self.past.asked_by(*books)
        return self.past

    def book(self, name: str | None) -> RuleBook:
        """The rules in use, in a file, or of a version that once decided, by the beginning of its id."""
        if name is None or Path(name).is_file():
            return load_rules(self.settings, Path(name) if name else None)
        if self.tx is None:
            raise click.UsageError(f"there is no file {name!r}; stored versions are in the ledger, not in a corpus")
        return _stored(self.tx, self.settings, name)

    def about(self) -> dict[str, Any]:
        """What was tried on, as JSON."""
        return {"where": self.where, "since": self.since, "until": self.until, "left_out": self.left_out}


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of all commands that try rules on the past."""
    since = click.option("--since", type=MOMENT, default="14d", show_default=True, help="How far back: 14d, or a time.")
    corpus = click.option("--corpus", type=FOLDER, help="Signals that `revpipe corpus` made, instead of the ledger's.")
    jobs = click.option("--jobs", type=click.IntRange(1, 64), help="Processes; by default one for each processor.")
    json_ = click.option("--json", "json_", is_flag=True, help="For machines.")
    return since(corpus(jobs(json_(command))))


@contextmanager
def trying(since: datetime, corpus: Path | None, jobs: int | None) -> Iterator[Trying]:
    """The signals to try rules on: of the ledger, or all of a folder that `revpipe corpus` made."""
    if corpus:
        if click.get_current_context().get_parameter_source("since") is ParameterSource.COMMANDLINE:
            raise click.UsageError("--since is for the ledger; of a corpus all is judged")
        past = CorpusPast(corpus)
        first, last, count = past.extent()
        yield Trying(load(), past, jobs or pool.processes(count), first, last, f"corpus {corpus.name}")
        return
    with ledger() as services, ledger_past.looking(services.engine) as (tx, snapshot):
        period = ledger_past.Period(since, services.clock.now())
        yield Trying(
            settings=services.settings,
            past=ledger_past.LedgerPast(services.settings, period, snapshot),
            jobs=jobs or pool.processes(ledger_past.count(tx, period)),
            since=period.since,
            until=period.until,
            where="the ledger",
            tx=tx,
            left_out=ledger_past.left_out(tx, period),
        )


def last_in_use(tx: Connection) -> str | None:
    """The version of the rules that decided last."""
    found: str | None = tx.execute(
        text(
            "SELECT p.rules_version FROM signals AS s JOIN plans AS p USING (signal_id)"
            " ORDER BY s.received_at DESC, s.signal_id LIMIT 1"
        )
    ).scalar()
    return found


def _stored(tx: Connection, settings: Settings, version: str) -> RuleBook:
    found = tx.execute(
        text("SELECT version, source FROM rule_versions WHERE starts_with(version, :version) LIMIT 2"),
        {"version": version},
    ).all()
    if len(found) != 1:
        known = tx.execute(text("SELECT version FROM rule_versions ORDER BY first_seen_at DESC LIMIT 5")).scalars()
        what = "more than one stored version begins with" if found else "neither a file nor a stored version is"
        raise click.UsageError(f"{what} {version!r}; the newest versions are: {', '.join(known) or 'none yet'}")
    return read_rules(settings, found[0].source, f"version {found[0].version}")
