"""`revpipe approvals`: what waits for a person, and the person's word."""

import textwrap
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from revpipe import approvals as approving
from revpipe import audit
from revpipe.actors import Actor
from revpipe.approvals import View
from revpipe.approvals.texts import difference, endings, whom
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.story.words import clip, clock, span
from revpipe.terminal import say

_json = click.option("--json", "json_", is_flag=True, help="For machines.")
_by = click.option("--by", help="Who decides; by default the user of this machine.")
STATES: Final = ("open", "approved", "rejected", "expired")


@click.group()
def approvals() -> None:
    """What waits for a person's word."""


@approvals.command("list")
@click.option("--state", type=click.Choice(STATES), default="open", show_default=True)
@click.option("--owner", help="Only deals of this owner, by the CRM's id.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@_json
def list_(state: str, owner: str | None, limit: int, json_: bool) -> None:
    """Approvals, the one that expires first in front."""
    with ledger() as services, transaction(services.engine) as tx:
        found = approving.inbox(tx, owner_id=owner, state=state, limit=limit)
        now = services.clock.now()
    if json_:
        as_json([asdict(one) for one in found])
        return
    for one in found:
        left = span(max(0.0, (one.expires_at - now).total_seconds())) + " left" if state == "open" else state
        say(f"{one.action_id}  {one.type}  {_about(one)}  {left}")
        say(f"    because: {clip(one.why, 100)} (rule {one.rule_id})")
        _show(one.params)
    if not found:
        say("nothing waits for approval" if state == "open" else f"nothing was {state}")


@approvals.command()
@click.argument("action_id", type=click.UUID)
@_json
def show(action_id: uuid.UUID, json_: bool) -> None:
    """One approval: what would be done, why, who is asked, every edit, and what happens if nobody answers."""
    with ledger() as services:
        with transaction(services.engine) as tx:
            found = approving.view(tx, action_id)
        now = services.clock.now()
        if found is None:
            raise approving.NoApproval(f"no approval is asked for action {action_id}")
        policy = services.policy.get(found.type)
        told = endings(found, policy)
    if json_:
        as_json(asdict(found) | {"at_expiry": told})
        return
    for line in _lines(found, told, now):
        say(line)


@approvals.command()
@click.argument("action_id", type=click.UUID)
@click.option("--version", type=click.IntRange(1), help="Only if this is still the present version.")
@_by
@_json
def approve(action_id: uuid.UUID, version: int | None, by: str | None, json_: bool) -> None:
    """Let an action be carried out, if its facts still hold."""
    with ledger() as services:
        actor = _actor(by)
        with _audited(services, "approvals approve", action_id, actor) as outcome:
            outcome["state"] = approving.approve(services, action_id, actor, version)
        with transaction(services.engine) as tx:
            found = approving.view(tx, action_id)
    if json_:
        as_json({"action_id": action_id, "state": outcome["state"]})
    elif found is not None and found.type == "draft_followup":
        say("approved; revpipe sends no mail: this is the text to send\n")
        _show(found.params)
    else:
        say("approved")


@approvals.command()
@click.argument("action_id", type=click.UUID)
@click.option("--reason", help="Why not.")
@_by
@_json
def reject(action_id: uuid.UUID, by: str | None, reason: str | None, json_: bool) -> None:
    """End an action without effect."""
    with ledger() as services:
        actor = _actor(by)
        with _audited(services, "approvals reject", action_id, actor) as outcome:
            outcome["state"] = approving.reject(services, action_id, actor, reason)
    if json_:
        as_json({"action_id": action_id, "state": outcome["state"]})
    else:
        say(outcome["state"])


@approvals.command()
@click.argument("action_id", type=click.UUID)
@click.option("--version", type=click.IntRange(1), help="The version that is edited; by default the present one.")
@click.option("--set", "changes", multiple=True, metavar="NAME=TEXT", help="A param and its new text; may be repeated.")
@click.option("--body", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file with the new body.")
@_by
@_json
def edit(
    action_id: uuid.UUID, version: int | None, changes: tuple[str, ...], body: Path | None, by: str | None, json_: bool
) -> None:
    """Change what an action would do. It then still waits for approval."""
    wanted = dict(_pair(one) for one in changes)
    if body is not None:
        wanted["body"] = body.read_text(encoding="utf-8")
    if not wanted:
        raise click.UsageError("say what to change: --set subject=… or --body FILE")
    with ledger() as services:
        actor = _actor(by)
        with transaction(services.engine) as tx:
            before = approving.view(tx, action_id)
        if before is None:
            raise approving.NoApproval(f"no approval is asked for action {action_id}")
        with _audited(services, "approvals edit", action_id, actor) as outcome:
            made = approving.edit(services, action_id, actor, version or before.version, wanted)
            outcome["version"] = made
    if json_:
        as_json({"action_id": action_id, "version": made})
    else:
        say(f"version {made}; approve it with: revpipe approvals approve {action_id} --version {made}")


def _lines(found: View, told: str, now: datetime) -> Iterator[str]:
    yield f"{found.type}  {_about(found)}  {found.state}" + (f" ({found.outcome})" if found.outcome else "")
    yield f"  action    {found.action_id}"
    yield f"  because   {found.why or 'no reason was kept'} (rule {found.rule_id}, decided by {found.decided_by})"
    yield f"  risk      {found.risk}"
    yield f"  asked     {whom(found)}, {clock(found.requested_at)}"
    if found.delivered_at is not None:
        yield f"  reached   {clock(found.delivered_at)}"
    if found.escalated_at is not None:
        yield f"  escalated {clock(found.escalated_at)}"
    if found.needed > 1:
        yield f"  agreed    {found.agreed} of {found.needed}"
    if found.decided is not None:
        word = found.decided
        why = f": {word['reason']}" if word["reason"] else ""
        yield f"  decided   {found.state} by {word['by']} ({word['way']}){why}, {clock(word['at'])}"
    else:
        left = (found.expires_at - now).total_seconds()
        when = f"{span(left)} left" if left > 0 else f"time was up {span(-left)} ago"
        yield f"  expires   {clock(found.expires_at)}, {when}; then {told}"
    for name, value in _ordered(found.params):
        yield textwrap.indent(f"{name}: {value}", "    ")
    for before, after in zip(found.versions, found.versions[1:], strict=False):
        yield f"  version {after['version']} by {after['by']} ({after['way']}), {clock(after['at'])}"
        for line in difference(before["params"], after["params"]):
            yield f"    {line}"


def _about(found: View) -> str:
    return found.deal_name or f"deal {found.deal_id or '-'}"


def _actor(by: str | None) -> Actor:
    return Actor(by or audit.user_here(), "cli")


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise click.UsageError(f"--set takes NAME=TEXT, not {text[:60]!r}")
    return name.strip(), value


def _audited(
    services: Services, command: str, action_id: uuid.UUID, actor: Actor
) -> AbstractContextManager[dict[str, Any]]:
    detail = {"action": str(action_id), "by": actor.name}
    return audit.told(services.engine, services.clock.now(), audit.user_here(), command, detail)


def _show(params: Mapping[str, Any]) -> None:
    """What is to be done, the short lines before the long ones."""
    for name, value in _ordered(params):
        say(textwrap.indent(f"{name}: {value}", "    "))


def _ordered(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    given = ((name, value) for name, value in params.items() if value not in (None, ""))
    return sorted(given, key=lambda item: (len(str(item[1])), item[0]))
