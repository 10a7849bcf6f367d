"""The people of the simulated Slack workspace, and the direct channels with them."""

from adapters.sandbox.slack_arguments import ApiError
from adapters.sandbox.slack_store import Json
from adapters.sandbox.world import here


def lookup(given: Json) -> Json:
    """users.lookupByEmail."""
    email = str(given.get("email", "")).lower()
    user = here().slack.users.get(email)
    if user is None:
        raise ApiError("users_not_found")
    return {"user": described(email, user)}


def info(given: Json) -> Json:
    """users.info."""
    wanted = str(given.get("user", ""))
    for email, user in here().slack.users.items():
        if user == wanted:
            return {"user": described(email, user)}
    raise ApiError("user_not_found")


def open_direct(given: Json) -> Json:
    """conversations.open with one user; twice gives the same channel."""
    user = str(given.get("users", ""))
    if user not in here().slack.users.values():
        raise ApiError("user_not_found")
    channel = here().slack.find(user)
    if channel is None:
        raise ApiError("channel_not_found")
    return {"channel": {"id": channel.id}}


def described(email: str, user: str) -> Json:
    """A user as the API shows them."""
    knobs = here().slack.knobs
    return {
        "id": user,
        "team_id": knobs.team_id,
        "name": email.partition("@")[0],
        "deleted": email in knobs.gone,
        "is_bot": False,
        "is_email_confirmed": email not in knobs.unconfirmed,
        "profile": {"email": email},
    }
