"""The run on the terminal: targets against what was measured, all rates, and what the harness itself cost."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.rounds import quartiles
from tests.benchmarks.targets import rates, targets

Json = dict[str, Any]
FOREIGN = 0.1
"""More than this share of processor time in other hands makes a run worth little."""
_VERDICT = {True: "[green]met[/]", False: "[red]missed[/]", None: "–"}


def show(console: Console, found: Json) -> None:
    """Print everything."""
    console.print(_targets(found), _rates(found))
    for line in notes(found):
        console.print(line, style="dim", highlight=False)


def rate_rows(found: Json) -> Iterator[tuple[str, str, str, str]]:
    """Workload, system, signals a second and requests accepted a second; medians with quartiles."""
    for workload, contest in found["contests"].items():
        for system in contest:
            worked, accepted = rates(found, workload, system), rates(found, workload, system, "accepted_per_s")
            yield workload, system, _spread(worked), _spread(accepted)
    if "bare_chain_per_s" in found:
        yield "three no-op tasks", "bare Celery chain", _spread(quartiles(found["bare_chain_per_s"])), ""


def notes(found: Json) -> list[str]:
    """What a reader should know to judge the figures."""
    every = [one for contest in found["contests"].values() for each in contest.values() for one in each]
    vendor, sender = (quartiles([one[what] for one in every]) for what in ("vendor_share", "load_share"))
    lines = [
        f"processor time of the simulated vendors: {vendor[1]:.1%} of what the machine used (most of a round"
        f" {max(one['vendor_share'] for one in every):.1%}), of the sending process {sender[1]:.1%}",
    ]
    foreign = quartiles([one["foreign_share"] for one in every])[1]
    if foreign > FOREIGN:
        lines.append(
            f"other work took {foreign:.0%} of the processor time used (median of rounds): repeat the run on a machine"
            " that has nothing else to do"
        )
    for workload, contest in found["contests"].items():
        used: dict[str, float] = {}
        for one in contest["revpipe"]:
            for name, seconds in one["cpu"].items():
                used[name] = used.get(name, 0.0) + seconds
        signals = sum(one["signals"] for one in contest["revpipe"])
        share = ", ".join(f"{name} {1000 * seconds / signals:.2f}" for name, seconds in used.items() if seconds > 0.005)
        lines.append(f"{workload}: revpipe's processor milliseconds a signal: {share}")
    if found.get("put_off"):
        lines.append(f"some work was put off, which it should not be: {', '.join(found['put_off'])}")
    about = found["about"]
    lines.append(f"{about['plan']} run of {about['took_s']} s, {about['processors']} processors, {about['at']}")
    return lines


def _targets(found: Json) -> Table:
    table = Table(title="targets", title_justify="left")
    for name in ("what", "target", "measured (quartiles)", ""):
        table.add_column(name)
    for row in targets(found):
        table.add_row(row.what, row.wanted, row.measured, _VERDICT[row.met])
    return table


def _rates(found: Json) -> Table:
    table = Table(title="rates a second: median (quartiles)", title_justify="left")
    for name in ("workload", "system", "signals, end to end", "requests accepted"):
        table.add_column(name, justify="right" if name not in ("workload", "system") else "left")
    for row in rate_rows(found):
        table.add_row(*row)
    return table


def _spread(spread: tuple[float, float, float] | None) -> str:
    return "" if spread is None else f"{spread[1]:,.0f} ({spread[0]:,.0f} to {spread[2]:,.0f})"
