"""`revpipe approvals`: what waits for a person, and the person's word."""

import getpass
import textwrap
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import click

from revpipe import approvals as approving
from revpipe import audit
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.story.words import span
from revpipe.terminal import say


@click.group()
def approvals() -> None:
    """What waits for a person's word."""


@approvals.command("list")
@click.option("--json", "json_", is_flag=True, help="For machines.")
def list_(json_: bool) -> None:
    """Open approvals, the one that expires first in front."""
    with ledger() as services, transaction(services.engine) as tx:
        rows = approving.listing(tx)
        now = services.clock.now()
        why = {rule.id: rule.description for rule in services.rules.rules}
    if json_:
        as_json(rows)
        return
    for row in rows:
        left = span(max(0.0, (row["expires_at"] - now).total_seconds()))
        about = row["deal_name"] or f"deal {row['deal_id'] or '-'}"
        say(f"{row['action_id']}  {row['type']}  {about}  {left} left")
        say(f"    because: {why.get(row['rule_id'], '')} (rule {row['rule_id']})")
        _show(row["params"])
    if not rows:
        say("nothing waits for approval")


@approvals.command()
@click.argument("action_id", type=click.UUID)
@click.option("--by", default=getpass.getuser, help="Who decides; by default the user of this machine.")
def approve(action_id: uuid.UUID, by: str) -> None:
    """Let an action be carried out."""
    with ledger() as services:
        with _audited(services, "approvals approve", action_id, by) as outcome:
            outcome["state"] = approving.approve(services, action_id, by)
        with transaction(services.engine) as tx:
            action = approving.approved(tx, action_id)
    if action["type"] == "draft_followup":
        say("approved; revpipe sends no mail: this is the text to send\n")
        _show(action["params"])
    else:
        say("approved")


@approvals.command()
@click.argument("action_id", type=click.UUID)
@click.option("--reason", help="Why not.")
@click.option("--by", default=getpass.getuser, help="Who decides; by default the user of this machine.")
def reject(action_id: uuid.UUID, by: str, reason: str | None) -> None:
    """End an action without effect."""
    with ledger() as services:
        with _audited(services, "approvals reject", action_id, by) as outcome:
            outcome["state"] = approving.reject(services, action_id, by, reason)
        say(outcome["state"])


def _audited(services: Services, command: str, action_id: uuid.UUID, by: str) -> AbstractContextManager[dict[str, Any]]:
    detail = {"action": str(action_id), "by": by}
    return audit.told(services.engine, services.clock.now(), audit.user_here(), command, detail)


def _show(params: Mapping[str, Any]) -> None:
    """What is to be done, the short lines before the long ones."""
    for name, value in sorted(params.items(), key=lambda item: (len(str(item[1])), item[0])):
        if value not in (None, ""):
            say(textwrap.indent(f"{name}: {value}", "    "))
