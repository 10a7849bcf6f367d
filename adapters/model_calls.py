"""What both SDKs for language models have in common: the gate before and after, and their exceptions as our errors.

The two are made by one generator, so their exceptions have the same attributes under different classes; they are
told apart by these. Their own retries are off: a question is asked once, and revpipe decides what follows.
"""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from adapters.http import retry_after
from revpipe.errors import CredentialsRefused, Permanent, RateLimited, RevpipeError, TimedOut, Transient
from revpipe.ports import Gate

T = TypeVar("T")
KIND: Final = "default"
PATIENCE: Final = 1.0
"""Seconds that a question may wait here for its rate token; who needs longer waits in the ledger."""
OUT_OF_MONEY: Final = frozenset({"insufficient_quota", "billing_error"})
"""Codes by which an account says that it is not paid for. OpenAI sends one of them as a 429 that no waiting mends."""


def gated(vendor: str, gate: Gate, call: Callable[[], T], errors: type[Exception]) -> T:
    """Make a call once the gate lets it through, and report how it ended. `errors` is the base of the SDK's own."""
    _token(vendor, gate)
    try:
        answer = call()
    except errors as error:
        failure = error_of(vendor, error)
    except ValueError as error:
        # What the SDK can't read as JSON comes through as it is.
        failure = Transient(f"{vendor} answered what can't be read: {type(error).__name__}", ambiguous=True)
        failure.where = f"{vendor} unreadable"
    else:
        gate.report(vendor, KIND, None)
        return answer
    gate.report(vendor, KIND, failure)
    raise failure


def error_of(vendor: str, error: Any) -> RevpipeError:
    """Our error for an exception of an SDK; the vendor's own words are kept short.

    `ambiguous` says that the model may have answered all the same, and that it may have to be paid for.
    """
    status = getattr(error, "status_code", None)
    if status is None:
        late = "Timeout" in type(error).__name__
        kind = TimedOut if late else Transient
        lost: RevpipeError = kind(f"{vendor} did not answer: {type(error).__name__}", ambiguous=True)
        lost.where = f"{vendor} {'took too long' if late else 'out of reach'}"
        return lost
    failure = _of_status(vendor, int(status), error)
    failure.where = f"{vendor} {status}"
    return failure


def _of_status(vendor: str, status: int, error: Any) -> RevpipeError:
    said = f"{vendor} answered {status}: {str(error)[:300]}"
    if status in (401, 402, 403) or _word(error) in OUT_OF_MONEY:
        return CredentialsRefused(said)
    if status == 404:
        # It is the model that isn't there, or not for us: like a bad key it fails every call until a person mends it.
        return CredentialsRefused(f"{said}; check `models` in config/llm.yaml")
    if status == 429:
        return RateLimited(said, retry_after=retry_after(error.response.headers.get("retry-after")))
    if 200 <= status < 300 or status in (408, 409) or status >= 500:
        return Transient(said)
    return Permanent(said)


def _word(error: Any) -> str:
    return str(getattr(error, "code", None) or getattr(error, "type", None) or "")


def _token(vendor: str, gate: Gate) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            gate.spend(vendor, KIND)
        except RateLimited as refusal:
            wait = refusal.retry_after or 0.05
            if time.monotonic() + wait > deadline:
                raise
            time.sleep(wait)
        else:
            return
