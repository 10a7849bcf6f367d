"""Rate tokens per vendor and limit, kept in Redis so that all processes together stay within them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import redis
import structlog

from revpipe.errors import RateLimited, RevpipeError

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket that holds `burst` tokens and gets `tokens` new ones in `per_seconds`, evenly spread.

    In any stretch of t seconds at most `burst + t * tokens / per_seconds` calls pass. A vendor's limit of n
    in t is therefore kept when that sum is at most n.
    """

    tokens: int
    per_seconds: float
    burst: int

    @property
    def interval_us(self) -> int:
        """Microseconds from one new token to the next."""
        return max(1, round(self.per_seconds * 1_000_000 / self.tokens))


LIMITS: Final[Mapping[tuple[str, str], Rate]] = {
    # 190 in 10 s for a private app: at most 30 + 140, so 20 are left for other users of the same token.
    ("hubspot", "default"): Rate(tokens=140, per_seconds=10, burst=30),
    # 5 a second for the whole account, counted apart from the rest.
    ("hubspot", "search"): Rate(tokens=4, per_seconds=1, burst=1),
    # About one message a second and channel, short bursts tolerated; the channel follows the colon of the kind.
    ("slack", "post"): Rate(tokens=1, per_seconds=1, burst=3),
    # Tier 3, 50 in a minute.
    ("slack", "history"): Rate(tokens=40, per_seconds=60, burst=5),
    # 3 a second.
    ("gong", "default"): Rate(tokens=2, per_seconds=1, burst=1),
}
"""Our share of what each vendor allows; (vendor, kind). A kind `a:b` has a bucket of its own under limit `a`."""

PAUSE_SECONDS: Final = 5.0
"""How long Redis is left alone after it could not be asked, so that a dead one does not slow down every call."""

# The bucket is kept as one number: the time (microseconds) at which it will be full again. A token is there
# as long as that lies less than `burst` intervals ahead. The server's clock is the only one asked. A stored time
# further ahead than an empty bucket can be comes from a clock that was set back, and is cut.
_TAKE: Final = """
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), now + burst * interval)
local wait = full_at + interval - (now + burst * interval)
if wait > 0 then return wait end
full_at = full_at + interval
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
"""


class RedisGate:
    """The Gate of all product processes.

    When Redis can't be asked within the client's own time limits, calls pass: the vendor's 429 still protects it,
    and a lost Redis must not stop what the ledger wants done. `unasked` counts the calls that passed so.
    """

    def __init__(self, client: redis.Redis, limits: Mapping[tuple[str, str], Rate]) -> None:
        self.unasked = 0
        self._limits = limits
        self._take = client.register_script(_TAKE)
        self._ask_again_at = 0.0

    def spend(self, vendor: str, kind: str) -> None:
        """Take one token; calls of a vendor without a limit pass. Raises RateLimited with the seconds to wait."""
        bucket, rate = self._bucket(vendor, kind)
        if rate is None:
            return
        wait = self._ask(f"revpipe:rate:{vendor}:{bucket}", rate)
        if wait > 0:
            refusal = RateLimited(f"no rate token left for {vendor} {bucket}", retry_after=max(wait, 1000) / 1e6)
            refusal.where = f"our rate for {vendor}"
            raise refusal

    def report(self, vendor: str, kind: str, error: RevpipeError | None) -> None:
        """Log a call that failed. The error's text stays out of it: a vendor's answer may quote customer data."""
        if error is not None:
            log.warning("vendor call failed", vendor=vendor, kind=kind, code=error.code)

    def _bucket(self, vendor: str, kind: str) -> tuple[str, Rate | None]:
        """The limit for a kind: its own, that of its word before the colon, else the vendor's default."""
        for limit, bucket in ((kind, kind), (kind.partition(":")[0], kind), ("default", "default")):
            rate = self._limits.get((vendor, limit))
            if rate is not None:
                return bucket, rate
        return kind, None

    def _ask(self, key: str, rate: Rate) -> int:
        """Microseconds until there is a token; 0 if one was taken, or if Redis could not be asked."""
        if time.monotonic() < self._ask_again_at:
            self.unasked += 1
            return 0
        try:
            return int(self._take(keys=[key], args=[rate.interval_us, rate.burst]))
        except redis.RedisError as error:
            self.unasked += 1
            self._ask_again_at = time.monotonic() + PAUSE_SECONDS
            log.warning("rate tokens can't be asked for, calls pass", reason=type(error).__name__)
            return 0
