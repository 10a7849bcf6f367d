"""`revpipe audit`: what people did to the pipeline by hand, and the chain of seals over that and all decisions."""

import re
import uuid
from pathlib import Path

import click

from revpipe import audit as auditing
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.seals import export as exporting
from revpipe.seals import ledger_source, sealer
from revpipe.seals.verify import Report
from revpipe.seals.verify import verify as verifying
from revpipe.story.words import clip, clock, value
from revpipe.terminal import say

SHOWN = 50
ANCHOR = re.compile(r"(?:[0-9]{1,18}:)?[0-9a-f]{64}")


class Bent(click.ClickException):
    """Something that was sealed is not as it was."""

    exit_code = 1


def _anchor(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """An anchor that can be one: a slip of the pen is no finding."""
    if given is not None and not ANCHOR.fullmatch(given.strip()):
        raise click.BadParameter("write it as verify prints it, NUMBER:HASH, or its hash of 64 digits alone")
    return None if given is None else given.strip()


@click.group(invoke_without_command=True)
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--before", type=click.UUID, help="Only what was done before this row: the next page.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
@click.pass_context
def audit(ctx: click.Context, limit: int, before: uuid.UUID | None, json_: bool) -> None:
    """Replays, discarded letters, approvals and settled doubts: who, when, and what came of it; newest in front.

    `verify` and `export` are about the chain of seals over these and over all decisions.
    """
    if ctx.invoked_subcommand is not None:
        return
    with ledger() as services, transaction(services.engine) as tx:
        rows = auditing.listing(tx, limit, before)
    if json_:
        as_json(rows)
        return
    for row in rows:
        detail = " · ".join(f"{name} {value(given)}" for name, given in row["detail"].items() if name != "ids")
        say(f"{row['audit_id']}  {clock(row['at'])}  {row['actor']}  {row['command']}  {clip(detail, 100)}".rstrip())
    if len(rows) == limit:
        say(f"older ones: revpipe audit --before {rows[-1]['audit_id']}")
    if not rows:
        say("nobody did anything by hand" if before is None else "nothing before that")


@audit.command()
@click.option(
    "--file", "path", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="An export, offline."
)
@click.option("--anchor", callback=_anchor, help="A seal that was noted elsewhere: NUMBER:HASH, or its hash.")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def verify(path: Path | None, anchor: str | None, json_: bool) -> None:
    """Walk the chain of seals, spell every record anew, and name what was altered, taken away or put in.

    Ends with 1 if there is anything. What retention let go of is counted as pruned. Note the anchor that it prints
    somewhere else: without one, a chain whose end was cut off is told only by the records that are left over.
    """
    if path is not None:
        report = exporting.verify_file(path, anchor)
    else:
        with ledger() as services, ledger_source.snapshot(services.engine) as source:
            report = verifying(source, anchor)
    if json_:
        as_json(report.as_dict())
    else:
        _show(report)
    if report.found:
        raise Bent(f"{report.found} findings")


@audit.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False, writable=True), help="Instead of the output.")
def export(out: Path | None) -> None:
    """Write the chain with its records as lines of JSON, which `verify --file` can verify without a ledger.

    It holds drafts and the reasons of decisions: treat it as customer data.
    """
    with ledger() as services, ledger_source.snapshot(services.engine) as source:
        written = exporting.lines(source, services.clock.now())
        if out is None:
            for line in written:
                click.echo(line)
            return
        try:
            with out.open("w", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in written)
        except OSError as error:
            raise click.ClickException(f"{out} can't be written: {error.strerror}") from error


@audit.command()
@click.option("--json", "json_", is_flag=True, help="For machines.")
def seal(json_: bool) -> None:
    """Seal at once what waits for it. Beat's timetable does so every minute."""
    with ledger() as services:
        count = sealer.run(services)
        with transaction(services.engine) as tx:
            waiting = sealer.waits(tx)
    if json_:
        as_json({"sealed": count, "waiting": waiting})
    else:
        say(f"{count} records sealed, {waiting} wait")


def _show(report: Report) -> None:
    for finding in report.findings[:SHOWN]:
        say(f"{finding.what:>10}  {finding.text}")
    if report.found > SHOWN:
        say(f"and {report.found - min(SHOWN, len(report.findings))} more; --json names {len(report.findings)}")
    kinds = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(report.records.items()))
    say(f"{report.seals} seals over {sum(report.records.values())} records" + (f": {kinds}" if kinds else ""))
    if report.pruned:
        gone = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(report.pruned.items()))
        say(f"sealed and pruned by retention: {gone}" + (f" ({', '.join(report.months)})" if report.months else ""))
    if report.older:
        say(
            f"{report.older} records are older than the chain, which began {clock(report.began)}"
            if report.began
            else ""
        )
    if report.waiting:
        say(f"{report.waiting} records wait for their seal")
    say(f"anchor {report.head}" if report.head else "nothing is sealed yet")
