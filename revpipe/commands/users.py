"""`revpipe users`: who may sign in, and as what."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import click
from sqlalchemy import Connection

from revpipe import audit
from revpipe.commands.context import as_json, ledger
from revpipe.db import transaction
from revpipe.services import Services
from revpipe.terminal import say
from revpipe.users import accounts, links
from revpipe.users.account import User
from revpipe.users.permissions import ROLES

ROLE = click.Choice(ROLES)
JSON = click.option("--json", "json_", is_flag=True, help="For machines.")
NOBODY = "-"
"""What takes an owner id or a stand-in away."""


@click.group()
def users() -> None:
    """Who may sign in, and as what."""


@users.command()
@click.argument("email")
@click.option("--role", type=ROLE, required=True, help="viewer sees, rep decides on own deals, operator on all.")
@click.option("--name", help="As others see it; by default what is before the @.")
@click.option("--owner-id", help="Who they are in the CRM: deals of that owner are their own.")
@click.option("--stand-in", metavar="EMAIL", help="Who may decide in their place.")
@JSON
def add(email: str, role: str, name: str | None, owner_id: str | None, stand_in: str | None, *, json_: bool) -> None:
    """Add a user and print a link that signs them in once."""
    with ledger() as services, _told(services, "users add", {"role": role}) as outcome:
        now = services.clock.now()
        with transaction(services.engine) as tx:
            other = accounts.named(tx, stand_in).user_id if stand_in else None
            user = accounts.add(tx, now, email, role, name=name, owner_id=owner_id, stand_in=other)
            token = links.make(tx, now, user.user_id, audit.user_here())
        outcome["user"] = str(user.user_id)
        _show_link(services, user, token, json_=json_)


@users.command("list")
@JSON
def list_(*, json_: bool) -> None:
    """All users."""
    with ledger() as services, transaction(services.engine) as tx:
        found = accounts.listing(tx)
    if json_:
        as_json([user.as_dict() for user in found])
        return
    names = {user.user_id: user.email for user in found}
    for user in found:
        more = [f"owner {user.owner_id}"] if user.owner_id else []
        more += [f"stand-in {names[user.stand_in]}"] if user.stand_in else []
        more += [] if user.active else ["disabled"]
        say(f"{user.email}  {user.role}  {user.name}  {' · '.join(more)}".rstrip())
    if not found:
        say("nobody yet; add somebody: revpipe users add EMAIL --role admin")


@users.command("set")
@click.argument("email")
@click.option("--role", type=ROLE)
@click.option("--name")
@click.option("--owner-id", help=f"{NOBODY} for none.")
@click.option("--stand-in", metavar="EMAIL", help=f"{NOBODY} for none.")
@click.option("--enable", is_flag=True, help="Let a disabled user in again.")
@JSON
def set_(
    email: str,
    role: str | None,
    name: str | None,
    owner_id: str | None,
    stand_in: str | None,
    *,
    enable: bool,
    json_: bool,
) -> None:
    """Change what is given, and nothing else."""
    given = {"role": role, "name": name, "owner_id": owner_id, "stand_in": stand_in, "active": enable or None}
    changes = {field: None if value == NOBODY else value for field, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change; see --help")
    _change("users set", email, changes, json_=json_)


@users.command()
@click.argument("email")
@JSON
def disable(email: str, *, json_: bool) -> None:
    """Let a user no longer in: their sessions end at once and their tokens for good."""
    _change("users disable", email, {"active": False}, json_=json_)


@users.command()
@click.argument("email")
@click.option("--hours", type=click.IntRange(1, 168), default=24, show_default=True, help="How long it holds.")
@JSON
def link(email: str, hours: int, *, json_: bool) -> None:
    """Print a link that signs a user in once. Earlier ones no longer hold."""
    with ledger() as services, _told(services, "users link", {"hours": hours}) as outcome:
        with transaction(services.engine) as tx:
            user = accounts.named(tx, email)
            by = audit.user_here()
            token = links.make(tx, services.clock.now(), user.user_id, by, timedelta(hours=hours))
        outcome["user"] = str(user.user_id)
        _show_link(services, user, token, json_=json_)


def _change(command: str, email: str, changes: Mapping[str, Any], *, json_: bool) -> None:
    with ledger() as services, _told(services, command, {"fields": sorted(changes)}) as outcome:
        with transaction(services.engine) as tx:
            wanted = {**changes, **_stand_in(tx, changes)}
            user = accounts.change(tx, services.clock.now(), accounts.named(tx, email).user_id, wanted)
        outcome |= {"user": str(user.user_id), "role": user.role, "active": user.active}
    if json_:
        as_json(user.as_dict())
    else:
        say(f"{user.email}  {user.role}{'' if user.active else '  disabled'}")


def _stand_in(tx: Connection, changes: Mapping[str, Any]) -> dict[str, Any]:
    email = changes.get("stand_in")
    return {"stand_in": accounts.named(tx, email).user_id} if email else {}


def _show_link(services: Services, user: User, token: str, *, json_: bool) -> None:
    path = links.PATH + token
    base = services.settings.public_url
    if json_:
        as_json({**user.as_dict(), "link": (base or "") + path})
        return
    say(f"{user.email}  {user.role}")
    say(f"signs in once, without a password: {base or '(the address of your web process)'}{path}")


def _told(services: Services, command: str, detail: Mapping[str, Any]) -> AbstractContextManager[dict[str, Any]]:
    return audit.told(services.engine, services.clock.now(), audit.user_here(), command, detail)
