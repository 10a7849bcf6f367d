"""Who revpipe's users are in Slack: asked when something is sent, so that nobody need be asked when a button is
pressed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from revpipe.db import sql, transaction
from revpipe.errors import Permanent, RevpipeError
from revpipe.messenger import Account, Messenger
from revpipe.services import Services

log = structlog.get_logger(__name__)

FRESH: Final = timedelta(hours=24)
ABSENT: Final = timedelta(minutes=10)
"""How soon somebody who was not to be found is looked for again."""
AT_ONCE: Final = 5
"""How many people are looked up for one message to a channel, which waits meanwhile; the next one does the rest."""


class NotInSlack(Permanent):
    """Nobody in the workspace has this e-mail, confirmed."""

    code = "not_in_slack"


@dataclass(frozen=True, slots=True)
class Known:
    """A user of revpipe who pressed something."""

    user_id: Any
    email: str
    role: str
    owner_id: str | None


def place_of(services: Services, messenger: Messenger, email: str) -> str:
    """The direct channel with whoever has this e-mail. Raises NotInSlack."""
    now = services.clock.now()
    with transaction(services.engine) as tx:
        row = tx.execute(sql("SELECT place, looked_at FROM slack_users WHERE email = :email"), {"email": email}).first()
    if row is not None and now - row.looked_at < (FRESH if row.place else ABSENT):
        found = row.place
    else:
        account = messenger.account(email)
        with transaction(services.engine) as tx:
            _keep(tx, email, account, now)
        found = account.place if account else None
    if found is None:
        raise NotInSlack("nobody in the Slack workspace has this e-mail, confirmed")
    return str(found)


def acquaint(services: Services, messenger: Messenger) -> None:
    """Look up those users who may press a button in a channel and are not known yet. Never fails for it.

    Whoever is not known by then is told so when they press.
    """
    now = services.clock.now()
    with transaction(services.engine) as tx:
        strangers = tx.execute(
            sql(
                "SELECT u.email FROM users AS u LEFT JOIN slack_users AS s USING (email) WHERE u.active"
                " AND u.role <> 'viewer' AND (s.email IS NULL OR s.looked_at <"
                " CASE WHEN s.place IS NULL THEN CAST(:absent AS timestamptz) ELSE :stale END)"
                " ORDER BY s.looked_at NULLS FIRST, u.email LIMIT :most"
            ),
            {"absent": now - ABSENT, "stale": now - FRESH, "most": AT_ONCE},
        ).scalars()
        emails = list(strangers)
    for email in emails:
        try:
            account = messenger.account(email)
        except RevpipeError as error:
            log.warning("slack_user_not_looked_up", code=error.code)
            return
        with transaction(services.engine) as tx:
            _keep(tx, email, account, now)


def who(tx: Connection, team: str, slack_id: str) -> Known | None:
    """The active user whom Slack knows by this id, None if there is none or they were never looked up."""
    row = tx.execute(
        sql(
            "SELECT u.user_id, u.email, u.role, u.owner_id FROM slack_users AS s JOIN users AS u USING (email)"
            " WHERE s.team_id = :team AND s.slack_id = :slack_id AND u.active"
        ),
        {"team": team, "slack_id": slack_id},
    ).first()
    return Known(*row) if row else None


def forget_presses(tx: Connection, now: datetime) -> None:
    """Let go of presses that are too old to be sent again: their signature no longer holds."""
    tx.execute(sql("DELETE FROM slack_presses WHERE pressed_at < :limit"), {"limit": now - timedelta(hours=1)})


def _keep(tx: Connection, email: str, account: Account | None, now: datetime) -> None:
    if account is not None:
        # Whose address it was before Slack confirmed another one for them: a press of theirs is one person's word.
        tx.execute(
            sql(
                "UPDATE slack_users SET team_id = NULL, slack_id = NULL, place = NULL, looked_at = :now"
                " WHERE team_id = :team AND slack_id = :user AND email <> :email"
            ),
            {"team": account.team, "user": account.user, "email": email, "now": now},
        )
    tx.execute(
        sql(
            "INSERT INTO slack_users (email, team_id, slack_id, place, looked_at)"
            " VALUES (:email, :team, :user, :place, :now) ON CONFLICT (email) DO UPDATE SET team_id = :team,"
            " slack_id = :user, place = :place, looked_at = :now"
        ),
        {
            "email": email,
            "team": account.team if account else None,
            "user": account.user if account else None,
            "place": account.place if account else None,
            "now": now,
        },
    )
