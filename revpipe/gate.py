"""What every call to a vendor passes: its circuit and its rate tokens, both in Redis and shared by all processes."""

import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import redis
import structlog

from revpipe import hold
from revpipe.circuits import PROBE_SECONDS, Change, Pass, RedisCircuits, circuit_of
from revpipe.errors import CircuitOpen, CredentialsRefused, RateLimited, RevpipeError

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
    in_line: bool = False
    """Whether each that is refused is told a turn of its own, for kinds whose work is a single call. Told the next
    token, as many would come back for it as there are, and again for the one after: of a hundred cards for Slack
    each would be tried fifty times. Work of several calls waits for its tokens with what it has (decision 005)."""

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
    ("slack", "post"): Rate(tokens=1, per_seconds=1, burst=3, in_line=True),
    # All channels of a workspace together have a limit that Slack does not tell: some hundred in a minute.
    ("slack", "post:*"): Rate(tokens=4, per_seconds=1, burst=8),
    # Tier 3, 50 in a minute.
    ("slack", "history"): Rate(tokens=40, per_seconds=60, burst=5),
    # Tier 3 likewise. A burst of decisions is to be seen at once.
    ("slack", "update"): Rate(tokens=40, per_seconds=60, burst=10, in_line=True),
    ("slack", "lookup"): Rate(tokens=40, per_seconds=60, burst=10),
    # Tier 4, 100 in a minute.
    ("slack", "view"): Rate(tokens=80, per_seconds=60, burst=10),
    ("slack", "whisper"): Rate(tokens=80, per_seconds=60, burst=10),
    # What providers of mail allow differs widely; nobody approves faster than that.
    ("email", "default"): Rate(tokens=2, per_seconds=1, burst=10, in_line=True),
    # 3 a second.
    ("gong", "default"): Rate(tokens=2, per_seconds=1, burst=1),
    # 10,000 a day for the company, whoever calls: at most 1,000 + 8,000.
    ("gong", "*"): Rate(tokens=8_000, per_seconds=86_400, burst=1_000),
    # Both allow more with every tier of an account; the first takes 50 a minute (Anthropic docs, Rate limits).
    ("anthropic", "default"): Rate(tokens=40, per_seconds=60, burst=8),
    ("openai", "default"): Rate(tokens=40, per_seconds=60, burst=8),
}
"""Our share of what each vendor allows; (vendor, kind).

A kind `a:b` has a bucket of its own under limit `a`. A limit `a:*` is one bucket more for all kinds `a:…` together,
`*` one for all calls to the vendor. A call takes a token from each of its buckets, or from none.
"""

HUBSPOT_PER_10S: Final = 190
"""What LIMITS assumes that HubSpot allows: a private app of a Professional or Enterprise account."""


def limits(hubspot_per_10s: int) -> Mapping[tuple[str, str], Rate]:
    """LIMITS for an account of which HubSpot takes that many calls in 10 seconds (setting HUBSPOT_CALLS_PER_10S).

    Of any number the same share stays unused for others with the same token. Search has a limit that no plan raises.
    """
    usual = LIMITS["hubspot", "default"]
    share = hubspot_per_10s / HUBSPOT_PER_10S
    ours = replace(usual, tokens=max(1, int(usual.tokens * share)), burst=max(1, int(usual.burst * share)))
    return {**LIMITS, ("hubspot", "default"): ours}


CREDENTIALS: Final[Mapping[str, str]] = {
    "hubspot": "HUBSPOT_ACCESS_TOKEN",
    "slack": "SLACK_BOT_TOKEN",
    "email": "SMTP_URL",
    "gong": "GONG_ACCESS_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "openai": "OPENAI_API_KEY",
}
"""The setting to mend when a vendor refuses our credentials."""

PAUSE_SECONDS: Final = 5.0
"""How long Redis is left alone after it could not be asked, so that a dead one does not slow down every call."""
LONGEST_LINE: Final = 60.0
"""The furthest turn that one is told; a line that is longer has those who come later ask again then."""
LONGEST_HOLD: Final = 60.0
"""How long a vendor's 429 stops everybody at the most; who was told to wait longer waits by themselves."""

# A bucket is kept as one number: the time (microseconds) at which it will be full again. A token is there
# as long as that lies less than `burst` intervals ahead. The server's clock is the only one asked. A stored time
# further ahead than an empty bucket can be comes from a clock that was set back, and is cut. KEYS: the circuit, then
# for each bucket its number, its hold, which stands while the vendor has told us to wait, and the last turn of the line
# before it. A turn is told and not kept: who comes first takes the token, and who finds it gone is told another turn.
# Answers: 0 passed and clear, 1 passed, 2 wait, 3 open (each with microseconds), 4 passed as the probe of an episode.
_SPEND: Final = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local had = redis.call('HMGET', KEYS[1], 'opened', 'ends', 'probe_ends', 'failures')
if had[1] then
  local free = math.max(tonumber(had[2]), tonumber(had[3] or 0))
  if now < free then return {3, string.format('%.0f', free - now)} end
end
local wait, full, line, apart = 0, {}, nil, 0
for i = 2, #KEYS, 3 do
  wait = math.max(wait, redis.call('PTTL', KEYS[i + 1]) * 1000)
  local interval, burst = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  if burst > 0 then
    local full_at = tonumber(redis.call('GET', KEYS[i]) or now)
    full_at = math.min(math.max(full_at, now), now + burst * interval)
    wait = math.max(wait, full_at + interval - (now + burst * interval))
    full[i] = full_at + interval
    if ARGV[i + 4] == '1' and not line then line, apart = KEYS[i + 2], interval end
  end
end
if wait > 0 then
  if line then
    local turn = math.max(now + wait, tonumber(redis.call('GET', line) or 0) + apart)
    wait = math.min(turn - now, math.max(wait, tonumber(ARGV[3])))
    redis.call('SET', line, string.format('%.0f', now + wait), 'PX', math.ceil(wait / 1000))
  end
  return {2, string.format('%.0f', wait)}
end
for i, full_at in pairs(full) do
  redis.call('SET', KEYS[i], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
end
if had[1] then
  redis.call('HSET', KEYS[1], 'probe', ARGV[1], 'probe_ends', string.format('%.0f', now + ARGV[2]))
  return {4, had[1]}
end
return {had[4] and 1 or 0, '0'}
"""
_CLEAR, _PASSED, _WAIT, _OPEN, _PROBE = range(5)


class RedisGate:
    """The Gate of all product processes.

    When Redis can't be asked within the client's own time limits, calls pass: the vendor's 429 still protects it,
    and a lost Redis must not stop what the ledger wants done. `unasked` counts the calls that passed so.
    """

    def __init__(self, client: redis.Redis, limits: Mapping[tuple[str, str], Rate], scope: str = "") -> None:
        self.unasked = 0
        self._client = client
        self._limits = limits
        self._rates = f"revpipe:{scope}:rate:"
        self._circuits = RedisCircuits(client, scope)
        self._spend = client.register_script(_SPEND)
        self._ask_again_at = 0.0
        self._passed = threading.local()

    def spend(self, vendor: str, kind: str) -> None:
        """Pass the circuit and take a token of each limit. Raises CircuitOpen or RateLimited, and takes nothing.

        Raises LeaseOver when the work in hand may no longer be ours: whoever waits for a token may wait too long.
        """
        hold.check()
        self._enter(vendor, kind)
        hold.check()

    def _enter(self, vendor: str, kind: str) -> None:
        name, probe = circuit_of(vendor, kind), uuid.uuid4().hex
        setattr(self._passed, name, Pass())
        answer = self._ask(name, probe, list(self._buckets(vendor, kind)))
        if answer is None:
            return
        told, word = answer
        if told == _WAIT:
            refusal = RateLimited(f"no rate token left for {vendor} {kind}", retry_after=max(int(word), 1000) / 1e6)
            refusal.where = f"our rate for {vendor}"
            refusal.ours = True
            raise refusal
        if told == _OPEN:
            stop = CircuitOpen(f"the circuit {name} is open", circuit=name, retry_after=max(int(word), 1000) / 1e6)
            stop.where = f"circuit {name} open"
            raise stop
        passed = Pass(probe=probe, episode=word) if told == _PROBE else Pass(clear=told == _CLEAR)
        setattr(self._passed, name, passed)

    def report(self, vendor: str, kind: str, error: RevpipeError | None) -> None:
        """Tell the circuit how the call ended that this thread last spent a token for, and log what failed.

        The error's text stays out of the log: a vendor's answer may quote customer data. Where the circuit is
        open now, `error.circuit` names it.
        """
        if error is not None:
            log.warning("vendor call failed", vendor=vendor, kind=kind, code=error.code)
        name = circuit_of(vendor, kind)
        passed: Pass = self._passed.__dict__.pop(name, Pass())
        if time.monotonic() < self._ask_again_at:
            return
        try:
            change = self._circuits.report(name, error, passed)
            if isinstance(error, RateLimited) and error.retry_after:
                self._hold(vendor, kind, error.retry_after)
        except redis.RedisError as trouble:
            self._leave_alone(trouble)
            return
        _tell(vendor, kind, error, change)
        if error is not None and change.open:
            error.circuit = name
            error.opened = change.opened

    def _buckets(self, vendor: str, kind: str) -> Iterator[tuple[str, Rate | None]]:
        """The buckets of a call, its own first: by its kind, by the word before the colon, or the vendor's default."""
        head = kind.partition(":")[0]
        named = ((kind, kind), (head, kind), ("default", "default"))
        own = next(((bucket, limit) for limit, bucket in named if (vendor, limit) in self._limits), None)
        yield (own[0], self._limits[vendor, own[1]]) if own else (head, None)
        for shared in (f"{head}:*", "*"):
            if (vendor, shared) in self._limits:
                yield shared, self._limits[vendor, shared]

    def _keys(self, vendor: str, bucket: str) -> tuple[str, str, str]:
        key = f"{self._rates}{vendor}:{bucket}"
        return key, f"{key}:hold", f"{key}:line"

    def _hold(self, vendor: str, kind: str, seconds: float) -> None:
        """Empty the call's buckets for a while: the vendor does not say which of its limits was reached."""
        lasts = max(1, round(min(seconds, LONGEST_HOLD) * 1000))
        for bucket, _ in self._buckets(vendor, kind):
            self._client.set(self._keys(vendor, bucket)[1], "1", px=lasts)

    def _ask(self, name: str, probe: str, buckets: Sequence[tuple[str, Rate | None]]) -> tuple[int, str] | None:
        """What the script answers; None if Redis could not be asked."""
        if time.monotonic() < self._ask_again_at:
            self.unasked += 1
            return None
        vendor = name.partition(":")[0]
        keys = [self._circuits.key(name)]
        words = [probe, str(round(PROBE_SECONDS * 1e6)), str(round(LONGEST_LINE * 1e6))]
        for bucket, rate in buckets:
            keys += self._keys(vendor, bucket)
            words += [str(rate.interval_us), str(rate.burst), str(int(rate.in_line))] if rate else ["0", "0", "0"]
        try:
            told, word = self._spend(keys=keys, args=words)
        except redis.RedisError as trouble:
            self.unasked += 1
            self._leave_alone(trouble)
            return None
        return int(told), word.decode() if isinstance(word, bytes) else str(word)

    def _leave_alone(self, trouble: redis.RedisError) -> None:
        self._ask_again_at = time.monotonic() + PAUSE_SECONDS
        log.warning("rates and circuits can't be asked for, calls pass", reason=type(trouble).__name__)


def _tell(vendor: str, kind: str, error: RevpipeError | None, change: Change) -> None:
    """Log a circuit's change: by the one process whose report made it, so that there is one alarm."""
    facts = {"vendor": vendor, "kind": kind.partition(":")[0]}
    if change.closed:
        log.warning("circuit_closed", **facts, open_s=round(change.open_s, 1))
    if not change.opened or error is None:
        return
    if isinstance(error, CredentialsRefused):
        facts["mend"] = f"{CREDENTIALS.get(vendor, 'the credentials')}: refused, or short of a scope"
    raise_alarm = log.warning if change.again else log.error
    raise_alarm("circuit_opened", **facts, code=error.code)
