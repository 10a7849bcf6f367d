"""The run as files: `latest.json`, and a Markdown page with charts beside it."""

from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.charts import COLOURS, Bar, bars
from tests.benchmarks.report import notes, rate_rows
from tests.benchmarks.rounds import quartiles
from tests.benchmarks.targets import Target, rates, ratios, targets

Json = dict[str, Any]
_VERDICT = {True: "met", False: "**missed**", None: "not measured"}
_PEERS = """\
Peers, on the same machine in the same run, taking turns with revpipe round by round, on the same Valkey and
PostgreSQL, against the same simulated vendors and from the same sending process with 8 kept-alive connections:

- **celery**: Flask under gunicorn (2 processes of 8 threads) checks HubSpot's v3 signature and publishes one chain of
  three tasks for each event: one HTTP read from the CRM, a rule of two terms, one HTTP effect. Prefork worker of 4,
  late acknowledgement, prefetch 1, one pooled session a process, no results, no events. It stores nothing, drops no
  duplicates and keeps no trail. Files reach it as webhooks of 100 events.
- **dbos**: the same as durable workflows, each step's result in PostgreSQL before the next.
- **bare Celery chain**: three tasks that do nothing.

revpipe reads more for each decision (the deal with its history, company, contact and tasks), runs all shipped rules,
and commits every step. Every round is checked: each effect that should be is there, once. PostgreSQL runs with
`fsync`, `synchronous_commit` and `full_page_writes` on, and each receiver must refuse a forged signature first, else
nothing is measured. A rate counts from the first request to the last signal's end; for peers, who keep no record, to
the last call that reached the vendors.
"""


def write(folder: Path, found: Json) -> None:
    """Write JSON, charts and page into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    charts = _charts(found)
    for name, (_, drawn) in charts.items():
        (folder / f"{name}.svg").write_text(drawn, encoding="utf-8")
    lines = ["# Benchmarks", "", *_introduction(found), "", "## Targets", "", *_targets(targets(found)), ""]
    lines += ["## Rates", "", *_rates(found), ""]
    for name, (title, _) in charts.items():
        lines += [f"![{title}]({name}.svg)", ""]
    lines += ["## How it is measured", "", _PEERS, "## Notes of this run", "", *(f"- {line}" for line in notes(found))]
    (folder / "README.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _introduction(found: Json) -> list[str]:
    about = found["about"]
    return [
        f"Made by `make bench` on {about['at'][:10]} in {about['took_s']} s, on {about['processors']} processors;",
        "change the code in `tests/benchmarks/`, not this page. Ratios within a run count: absolute figures say more",
        "about the machine. All of it is in [latest.json](latest.json), round by round. Two pages are made apart:",
        "[where a worker's time goes](flame.md) and [what a long past costs](growth.md). What is missed, and",
        "why, stands in [decision 038](../decisions/038-targets-that-are-missed.md).",
    ]


def _targets(rows: list[Target]) -> list[str]:
    lines = ["| what | target | measured, median (quartiles) | | command |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        lines.append(f"| {row.what} | {row.wanted} | {row.measured} | {_VERDICT[row.met]} | `{row.command}` |")
    return lines


def _rates(found: Json) -> list[str]:
    lines = ["`python -m tests.benchmarks.one SHAPE ENDING` runs one of these for revpipe alone.", ""]
    lines += ["| workload | system | signals/s, end to end | requests accepted/s |", "| --- | --- | ---: | ---: |"]
    return lines + [f"| {' | '.join(row)} |" for row in rate_rows(found)]


def _charts(found: Json) -> dict[str, tuple[str, str]]:
    """File name → title and drawing."""
    made: dict[str, tuple[str, str]] = {}
    for kind in ("single", "batch", "file"):
        rows = [_rate_bar(found, workload, system) for workload, system in _contests(found, kind)]
        if kind == "single" and "bare_chain_per_s" in found:
            rows.append(_bar("bare Celery chain", "bare Celery chain", quartiles(found["bare_chain_per_s"])))
        if rows:
            title = f"{kind}: signals a second, end to end"
            made[f"rates-{kind}"] = (title, bars(title, rows))
    against = [(one, ratios(found, one, "celery")) for one in found["contests"]]
    title = "revpipe against the hand-written Celery pipeline, times as fast"
    rows = [Bar(one, COLOURS["revpipe"], *ratio, f"{ratio[1]:.1f} ×") for one, ratio in against if ratio]
    made["ratios"] = (title, bars(title, rows, mark=1.0))
    title = "milliseconds from request to effect, idle: p50, and p99 as a line"
    rows = [
        Bar(name, COLOURS[name], told["p50_ms"], told["p50_ms"], told["p99_ms"], f"{told['p50_ms']:.0f}")
        for name, told in found["idle"].items()
    ]
    made["idle"] = (title, bars(title, rows))
    return made


def _contests(found: Json, kind: str) -> list[tuple[str, str]]:
    return [(one, system) for one, each in found["contests"].items() if one.startswith(kind) for system in each]


def _rate_bar(found: Json, workload: str, system: str) -> Bar:
    spread = rates(found, workload, system) or (0.0, 0.0, 0.0)
    return _bar(f"{workload.partition(' ')[2]}, {system}", system, spread)


def _bar(label: str, system: str, spread: tuple[float, float, float]) -> Bar:
    return Bar(label, COLOURS[system], *spread, f"{spread[1]:,.0f}")
