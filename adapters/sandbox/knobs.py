"""What a test, a demo or a benchmark may set about each simulated vendor."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class HubSpotKnobs:
    """Times are seconds; a limit of None is off."""

    token: str = "sandbox-token"  # noqa: S105 - a made-up credential of the simulation
    client_secret: str = "sandbox-secret"  # noqa: S105
    portal_id: int = 24681357
    app_id: int = 1357924
    rate_limit: int | None = 190
    rate_seconds: float = 10.0
    search_rate_limit: int | None = 5
    search_lag: float = 5.0
    """How far search is behind the data."""
    readable_after: float = 0.0
    """How long a new record answers 404."""
    links_visible_after: float = 0.0
    """How long a new association is not shown."""
    association_object_id: bool = False
    """Whether association events carry `objectId` and `isPrimaryAssociation`; a captured one had neither."""
    subscriptions: list[str] | None = None
    """The app's subscriptions (`deal.creation`, `deal.propertyChange:amount`), or None for the usual ones."""
    target_url: str | None = None
    """Where events are posted by themselves; without it they wait to be fetched."""
    retry_delays: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0])
    """Waits between tries of a refused delivery. HubSpot spreads 10 over a day; nobody tests that long."""


@dataclass
class GongKnobs:
    """Gong allows 3 calls a second and company (Gong help, API limits)."""

    access_key: str = "sandbox-key"
    access_key_secret: str = "sandbox-key-secret"  # noqa: S105
    rate_limit: int | None = 3
    rate_seconds: float = 1.0
    page_size: int = 100


@dataclass
class SlackKnobs:
    """`messages_per_second` is Slack's limit for each channel; off unless set."""

    token: str = "xoxb-sandbox"  # noqa: S105
    team_id: str = "T0SANDBOX"
    bot_user_id: str = "U0REVPIPE"
    messages_per_second: int | None = None
    history_lag: float = 0.0
    """How long a new message is missing from conversations.history."""
    app_id: str = "A0REVPIPE"
    signing_secret: str = "sandbox-signing-secret"  # noqa: S105
    interactivity_url: str | None = None
    """Where presses of buttons are sent, with the path."""
    unconfirmed: list[str] = field(default_factory=list)
    """E-mails that their users have not confirmed."""
    gone: list[str] = field(default_factory=list)
    """E-mails of deactivated users."""


@dataclass
class MailKnobs:
    """What the simulated mail server does; as delivered it takes everything."""

    refuse_with: int | None = None
    """Answer every recipient with this code."""
    cut_off: int = 0
    """How many letters are taken and then not answered for: the connection is cut."""


def turn(knobs: object, changes: Mapping[str, Any]) -> None:
    """Set knobs by name. Raises ValueError for a name that does not exist, before anything is set."""
    known = {item.name for item in fields(knobs)}  # type: ignore[arg-type]
    unknown = sorted(set(changes) - known)
    if unknown:
        raise ValueError(f"no such knob: {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    for name, value in changes.items():
        setattr(knobs, name, value)
