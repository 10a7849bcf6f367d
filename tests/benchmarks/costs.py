"""A benchmark's result as what ships: `python -m tests.benchmarks.costs [FILE]` (make costs), for revpipe capacity.

Reads docs/benchmarks/latest.json or FILE, weighs the tables of a generated ledger of its own (some twenty seconds), and
writes config/costs.json and docs/scale.md anew.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

from revpipe import migrate
from revpipe.capacity import benchmark, page
from revpipe.capacity.costs import Costs, Ledger, Line
from revpipe.db import make_engine, transaction
from revpipe.embedded.client import servers, wait_stopped
from revpipe.errors import Misconfigured
from revpipe.generating import fill

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / "config" / "costs.json"
SIGNALS: Final = 20_000
TABLES: Final = {
    "delivery": ("deliveries",),
    "signal": ("signals", "contexts", "plans"),
    "action": ("actions", "approvals"),
    "trail_row": ("trail",),
    "dead_letters": ("dead_letters",),
    "counters": ("counters",),
}
_SIZE: Final = (
    "SELECT sum(pg_total_relation_size(part)) FROM (SELECT CAST(:name AS regclass) AS part"
    " UNION SELECT relid FROM pg_partition_tree(CAST(:name AS regclass))) AS parts"
)
"""Table, indexes and what is stored beside it; of all its months, if it has such."""


def weigh(signals: int = SIGNALS) -> Ledger:
    """Bytes of a generated ledger, in the shares of revpipe/generating/mix.py."""
    with tempfile.TemporaryDirectory(prefix="rv-") as folder, servers(Path(folder) / "data") as lease:
        engine = make_engine(lease.database_url, pool_size=4)
        migrate.upgrade(engine)
        fill.fill(engine, fill.Wish(signals, datetime.now(UTC), 0))
        with transaction(engine) as tx:
            found = weigh_tables(tx, signals)
        engine.dispose()
        lease.close()
        wait_stopped(Path(folder) / "data")
    return found


def weigh_tables(tx: Connection, signals: int) -> Ledger:
    """What a ledger of so many generated signals weighs."""

    def ask(question: str, **values: Any) -> float:
        return float(tx.execute(text(question), values).scalar_one())

    size = {kind: sum(ask(_SIZE, name=name) for name in names) for kind, names in TABLES.items()}
    bodies = ask("SELECT sum(octet_length(body)) FROM deliveries")
    actions = ask("SELECT count(*) FROM actions")
    each = {
        "delivery": max(0.0, size["delivery"] - bodies) / ask("SELECT count(*) FROM deliveries"),
        "body": bodies / signals,
        "signal": size["signal"] / signals,
        "action": size["action"] / actions,
        "trail_row": size["trail_row"] / ask("SELECT count(*) FROM trail"),
        "dead_letters": size["dead_letters"] / signals,
        "counters": size["counters"] / signals,
    }
    rows = [ask(f"SELECT count(*) FROM trail WHERE action_id IS {word}") for word in ("NULL", "NOT NULL")]
    trail = Line(round(rows[0] / signals, 3), round(rows[1] / actions, 3))
    return Ledger({kind: round(value, 1) for kind, value in each.items()}, trail)


def costs(source: Path) -> Costs:
    """All that is measured. Raises Misconfigured if `source` is no benchmark's JSON."""
    run = benchmark.read(source.read_text(encoding="utf-8"), source.name)
    how = {"command": "make bench, then make costs", "ledger": f"{SIGNALS} signals of revpipe generate"}
    return Costs({**run.measured, **how}, run.assumed, run.shapes, run.alone, weigh())


def main(arguments: Sequence[str] | None = None) -> int:
    """Write both files; 2 if the benchmark's JSON can't be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=ROOT / "docs" / "benchmarks" / "latest.json")
    source = parser.parse_args(arguments).file
    try:
        found = costs(source)
    except (Misconfigured, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    TARGET.write_text(found.as_text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.relative_to(ROOT)} and {page.write(ROOT).relative_to(ROOT)} are of {source.name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
