"""What can go wrong, sorted by one question: can trying again help?"""


class RevpipeError(Exception):
    """A failure of a piece of work; `code` is the stable word for it in trail and dead letters.

    `where` tells a person which vendor it was and what it answered, in codes and numbers only: `hubspot 503`.
    `circuit` names the open circuit behind it, if there is one: then the work waits until that closes. `opened` says
    that this very failure opened it, while others had passed.
    """

    code = "error"
    where: str | None = None
    circuit: str | None = None
    opened: bool = False


class Transient(RevpipeError):
    """Trying again later may help. `ambiguous` says that the other side may have acted all the same."""

    code = "transient"

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class TimedOut(Transient):
    """No answer came within the time that the call had."""

    code = "timed_out"


class RateLimited(Transient):
    """The vendor, or our own rate token, says not yet; `retry_after` is in seconds, None if not told.

    `ours` says that it was our own: nobody was called.
    """

    code = "rate_limited"
    ours = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CircuitOpen(Transient):
    """No call was made: the vendor failed too often of late. `retry_after` is seconds until it may be asked again."""

    code = "circuit_open"

    def __init__(self, message: str, *, circuit: str, retry_after: float) -> None:
        super().__init__(message)
        self.circuit = circuit
        self.retry_after = retry_after


class Permanent(RevpipeError):
    """The same request will fail for ever."""

    code = "permanent"


class NotFound(Permanent):
    """The vendor knows no such record."""

    code = "not_found"


class BadPayload(Permanent):
    """What came in can't be normalised; `reason` is a stable code for the dead letter."""

    code = "bad_payload"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class EffectUnknown(RevpipeError):
    """Neither the answer nor a look at the vendor tells whether the effect took place."""

    code = "effect_unknown"


class CredentialsRefused(RevpipeError):
    """The vendor refuses our credentials (401, 403): work waits, a person mends the settings."""

    code = "credentials_refused"


class NewerVersion(RevpipeError):
    """A row of a later release than this one, which can't read it: it waits for a worker of that release."""

    code = "newer_version"

    def __init__(self, kind: str, version: int, newest: int) -> None:
        super().__init__(f"{kind} of version {version}; this release knows 1 to {newest}")


class Unauthorised(Exception):
    """An inbound request whose signature, token or time does not hold. Nothing of it is kept."""


class SourceNotConfigured(Exception):
    """No secret is set for a source, so nothing it sends can be trusted: its endpoint fails closed."""


class Misconfigured(Exception):
    """A setting or a file in config/ is wrong; the process must not start. The text says what to do."""
