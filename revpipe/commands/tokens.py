"""`revpipe tokens`: what programs show to the API."""

import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import click

from revpipe import audit
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.story.words import clock
from revpipe.terminal import say
from revpipe.users import accounts
from revpipe.users import tokens as keeping
from revpipe.users.permissions import SCOPES

JSON = click.option("--json", "json_", is_flag=True, help="For machines.")


@click.group()
def tokens() -> None:
    """What programs show to the API."""


@tokens.command()
@click.argument("email")
@click.option("--name", required=True, help="What it is for.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES), help="Several times.")
@click.option("--days", type=click.IntRange(1, keeping.LONGEST.days), default=keeping.LASTS.days, show_default=True)
@JSON
def add(email: str, name: str, scopes: tuple[str, ...], days: int, *, json_: bool) -> None:
    """Make a token of a user. It is printed this once."""
    detail = {"scopes": list(scopes), "days": days}
    with ledger() as services, _told(services, "tokens add", detail) as outcome:
        with transaction(services.engine) as tx:
            user = accounts.named(tx, email)
            now = services.clock.now()
            token_id, made = keeping.make(tx, now, user.user_id, name, scopes, timedelta(days=days))
        outcome |= {"token": str(token_id), "user": str(user.user_id)}
    if json_:
        as_json({"token_id": token_id, "token": made, "email": user.email, "scopes": sorted(set(scopes))})
        return
    say(made)
    say(f"a token of {user.email} for {days} days; it can't be shown again")


@tokens.command("list")
@click.option("--user", "email", metavar="EMAIL", help="Of one user only.")
@JSON
def list_(email: str | None, *, json_: bool) -> None:
    """All tokens, by what they begin with, the newest in front."""
    with ledger() as services, transaction(services.engine) as tx:
        found = keeping.listing(tx, accounts.named(tx, email).user_id if email else None)
        now = services.clock.now()
    if json_:
        as_json(found)
        return
    for one in found:
        state = "revoked" if one["revoked_at"] else "over" if one["expires_at"] <= now else "holds"
        used = clock(one["used_at"]) if one["used_at"] else "never"
        say(f"{one['token_id']}  {one['prefix']}…  {one['email']}  {one['name']}  {state}  used {used}")
        say(f"    {', '.join(one['scopes'])}")
    if not found:
        say("no tokens; make one: revpipe tokens add EMAIL --name NAME --scope read")


@tokens.command()
@click.argument("token_id", type=click.UUID)
@JSON
def revoke(token_id: uuid.UUID, *, json_: bool) -> None:
    """End a token for good."""
    with ledger() as services:
        now = services.clock.now()
        with _told(services, "tokens revoke", {"token": str(token_id)}), transaction(services.engine) as tx:
            keeping.revoke(tx, now, token_id)
    if json_:
        as_json({"token_id": token_id, "revoked": True})
    else:
        say("revoked")


def _told(services: Services, command: str, detail: Mapping[str, Any]) -> AbstractContextManager[dict[str, Any]]:
    return audit.told(services.engine, services.clock.now(), audit.user_here(), command, detail)
