"""What a rehearsal prints: its count in one table, the attacks by kind, and how to play it again."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from revpipe.drill.outcome import Outcome

Report = Mapping[str, Any]
NAMED: Final = 10
"""How many lost or doubled pieces are named."""


def report_of(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON values; `attacks` are by kind, `timeline` is [seconds, kind, on what, rows hit]."""
    count = outcome.count
    return {
        "seed": outcome.seed,
        "sent": count.sent,
        "accepted": count.accepted,
        "dispositions": count.dispositions,
        "in_flight": count.in_flight,
        "unknown": count.unknown,
        "lost": len(count.lost),
        "doubled": len(count.doubled),
        "effects": count.effects,
        "attacks": {kind: {"attacks": number, "hits": hits} for kind, (number, hits) in outcome.attacks.items()},
        "hits": outcome.hits,
        "seconds": round(outcome.seconds, 1),
        "exact": count.exact,
        "findings": [f"lost: {one}" for one in count.lost] + [f"doubled: {one}" for one in count.doubled],
        "timeline": [[blow.at, blow.kind, blow.on, blow.rows] for blow in outcome.blows],
        "again": outcome.again,
        "kept": str(outcome.kept) if outcome.kept else None,
    }


def show(report: Report, console: Console) -> None:
    """Print one seed's count and, if something is wrong, what, and how to see it again."""
    console.print(_balance(report))
    told = sum(one["attacks"] for one in report["attacks"].values())
    console.print(f"{told} attacks, {report['hits']} of them on claimed work; {report['seconds']:.0f} s")
    for line in complaints(report):
        console.print(line, soft_wrap=True)


def complaints(report: Report) -> Iterator[str]:
    """What is wrong, and the command that plays the same schedule again; nothing if nothing is."""
    found = report["findings"]
    yield from found[:NAMED]
    if len(found) > NAMED:
        yield f"and {len(found) - NAMED} more"
    if report["in_flight"] and not report["lost"]:
        yield f"in flight: {report['in_flight']} signals had not ended when the time was over"
    if not report["exact"]:
        yield f"play it again: {report['again']}"
        yield (
            f"its ledger and logs: {report['kept']}"
            if report["kept"]
            else "with --keep FOLDER its ledger and logs stay"
        )


def show_attacks(reports: Sequence[Report], console: Console) -> None:
    """Print how often each kind of attack came, and how often it hit claimed work, over all seeds."""
    times: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for report in reports:
        for kind, one in report["attacks"].items():
            times[kind] += one["attacks"]
            hits[kind] += one["hits"]
    table = _table("attack", "times", "on claimed work")
    for kind in sorted(times):
        table.add_row(kind, str(times[kind]), str(hits[kind]))
    console.print(table)


def _balance(report: Report) -> Table:
    cells = {name: report[name] for name in ("seed", "sent", "accepted")}
    cells |= {name.replace("_", "-"): number for name, number in report["dispositions"].items()}
    cells |= {name.replace("_", " "): report[name] for name in ("in_flight", "unknown", "lost", "doubled")}
    table = _table(*cells)
    table.add_row(*(str(value) for value in cells.values()))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for number, name in enumerate(columns):
        table.add_column(name, justify="left" if number == 0 else "right")
    return table
