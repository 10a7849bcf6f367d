"""One HTTP client for all vendors: time limits, short retries, the gate, and status codes as our errors."""

import contextlib
import email.utils
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import backoff
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from revpipe.errors import CircuitOpen, CredentialsRefused, NotFound, Permanent, RateLimited, RevpipeError, Transient
from revpipe.ports import Gate

CONNECT_TIMEOUT = 3.05
READ_TIMEOUT = 10.0
SHORTEST_WAIT = 0.05
BLIP_TRIES = 3
BLIP_SECONDS = 6.0
_NOT_DONE = (423, 425, 477)
"""Locked, too early, account migrating (HubSpot): the request was turned away for now, nothing was done."""
Judge = Callable[[requests.Response], RevpipeError | None]
"""Finds the error in a 2xx answer of a vendor that tells failures in the body; None if there is none."""
_OURS = (
    requests.exceptions.InvalidJSONError,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
)


class Rejected(Permanent):
    """The vendor refused the request itself; `status` is its code, `body` its JSON answer (None if it is none)."""

    def __init__(self, message: str, *, status: int, body: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class HttpClient:
    """A vendor's API over one kept-alive session. Safe to share between threads."""

    def __init__(
        self,
        vendor: str,
        base_url: str,
        gate: Gate,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        wait_told: Callable[[requests.Response], float | None] | None = None,
        patience: float = 0.0,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
    ) -> None:
        """`wait_told` reads the wait, in seconds, from a 429 that has no Retry-After.

        `patience` is for how many seconds a call may wait for its rate token. Work of several calls needs some:
        refused midway it would start anew, spend its tokens on the same first calls and never reach its last.
        `timeout` is in seconds, to connect and for each answer.
        """
        self.vendor = vendor
        self.base_url = base_url.rstrip("/")
        self._gate = gate
        self._wait_told = wait_told
        self._patience = patience
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(headers or {})
        self._session.auth = auth
        pool = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=32)
        self._session.mount("http://", pool)
        self._session.mount("https://", pool)

    def request(
        self,
        method: str,
        path: str,
        *,
        kind: str = "default",
        idempotent: bool | None = None,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        judge: Judge | None = None,
    ) -> requests.Response:
        """Call the vendor; any 2xx that `judge` finds no error in is returned, all else is raised as our errors.

        `kind` names the vendor's limit that the call counts against. A call that is `idempotent` (by default
        GET and HEAD only) is tried up to three times within a few seconds when it fails for a moment. One that
        is not is tried once, and a failure after it may have arrived is a Transient with `ambiguous` set.
        Raises RateLimited, CircuitOpen, CredentialsRefused, NotFound, Rejected or Transient.
        """
        safe = method in ("GET", "HEAD") if idempotent is None else idempotent

        @backoff.on_exception(
            backoff.expo,
            Transient,
            max_tries=BLIP_TRIES,
            max_time=BLIP_SECONDS,
            factor=0.2,
            jitter=backoff.full_jitter,
            giveup=lambda error: not safe or isinstance(error, RateLimited | CircuitOpen),
            logger=None,
        )
        def call() -> requests.Response:
            return self._once(method, path, kind, safe, json, params, headers, judge)

        response: requests.Response = call()
        return response

    def _once(
        self,
        method: str,
        path: str,
        kind: str,
        safe: bool,
        json: Any,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        judge: Judge | None,
    ) -> requests.Response:
        self._take_token(kind)
        try:
            response = self._session.request(
                method,
                self.base_url + "/" + path.lstrip("/"),
                json=json,
                params=params,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.ConnectTimeout as error:
            failure: RevpipeError = Transient(f"{self.vendor} could not be reached in time: {_name(error)}")
            failure.where = f"{self.vendor} out of reach"
        except _OURS as error:
            raise Permanent(f"the request to {self.vendor} can't be sent: {_name(error)}") from error
        except requests.RequestException as error:
            arrived = not _refused(error)
            failure = Transient(f"{self.vendor} broke the call off: {_name(error)}", ambiguous=arrived and not safe)
            failure.where = f"{self.vendor} {'broke off' if arrived else 'out of reach'}"
        else:
            found = self._error_in(response, judge, safe=safe)
            if found is None:
                self._gate.report(self.vendor, kind, None)
                return response
            failure = found
        self._gate.report(self.vendor, kind, failure)
        raise failure

    def _error_in(self, response: requests.Response, judge: Judge | None, *, safe: bool) -> RevpipeError | None:
        """The error that an answer stands for; reported once, for a good status with a bad body is no good answer."""
        if 200 <= response.status_code < 300:
            return judge(response) if judge else None
        failure = error_for(self.vendor, response, safe=safe)
        failure.where = f"{self.vendor} {response.status_code}"
        if isinstance(failure, RateLimited) and failure.retry_after is None and self._wait_told:
            failure.retry_after = self._wait_told(response)
        return failure

    def _take_token(self, kind: str) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._gate.spend(self.vendor, kind)
            except RateLimited as refusal:
                wait = refusal.retry_after or SHORTEST_WAIT
                if time.monotonic() + wait > deadline:
                    raise
                time.sleep(wait)
            else:
                return


def error_for(vendor: str, response: requests.Response, *, safe: bool) -> RevpipeError:
    """The error that an answer outside 2xx stands for; the vendor's own words are kept short."""
    status = response.status_code
    said = f"{vendor} answered {status}: {response.text[:300]}"
    if status in (401, 403):
        return CredentialsRefused(said)
    if status == 404:
        return NotFound(said)
    wait = retry_after(response.headers.get("Retry-After"))
    if status == 429 or (status in _NOT_DONE and wait is not None):
        return RateLimited(said, retry_after=wait)
    if status in (408, *_NOT_DONE) or status >= 500:
        return Transient(said, ambiguous=not safe and status not in _NOT_DONE)
    return Rejected(said, status=status, body=_json(response))


def retry_after(header: str | None) -> float | None:
    """Seconds to wait from a Retry-After header: a number of seconds or an HTTP date (RFC 9110, 10.2.3)."""
    if not header:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(header)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        at = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - time.time())


def _json(response: requests.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _refused(error: requests.RequestException) -> bool:
    """Whether no connection came about (refused, no such host), so that nothing can have arrived."""
    cause = error.args[0] if error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _name(error: Exception) -> str:
    return f"{type(error).__name__} {str(error)[:200]}"
