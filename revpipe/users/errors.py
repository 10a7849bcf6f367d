"""Why something about users, their sign-ins or tokens was refused."""

from revpipe.errors import Permanent, RevpipeError


class NoUser(Permanent):
    """No user, link or token is known by what was given."""

    code = "no_user"


class BadUser(Permanent):
    """What was said of a user, password or token can't be; the text says which and why."""

    code = "bad_user"


class SignInRefused(Permanent):
    """Whoever tried to sign in is not let in. The text is the same whatever the cause, so that nothing is learnt."""

    code = "sign_in_refused"


class TooManyTries(RevpipeError):
    """Too many sign-ins were tried of late, against this account or from there; `retry_after` is in seconds."""

    code = "too_many_tries"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many tries. Try again in {max(1, round(retry_after / 60))} min, or ask for a link.")
        self.retry_after = retry_after
