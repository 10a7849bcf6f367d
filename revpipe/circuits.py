"""Circuits: what all workers together know of a vendor's health, kept in Redis and judged by the server's clock.

One circuit for each vendor and kind of call; a kind `a:b` counts as `a`. It opens after a few failures in a row, or
at once when the vendor refuses our credentials. While it is open nobody calls. After its period one call at a time
goes through as a probe, whose answer closes it or starts the next, longer period.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import redis
from sqlalchemy.engine import make_url

from revpipe.errors import CredentialsRefused, RateLimited, RevpipeError, Transient
from revpipe.ports import Circuits, CircuitState
from revpipe.time_scale import seconds

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"

FAILURES: Final = 5
"""Failures in a row that open a circuit: more than the three tries of one call, so that it takes two pieces of work."""
COUNTED_FOR: Final = 60.0
"""Seconds after which the last failure is forgotten. Not shortened in rehearsals: calls take as long as ever."""
FIRST_PERIOD: Final = 5.0
LONGEST_PERIOD: Final = 60.0
REFUSED_PERIOD: Final = 300.0
"""For refused credentials: only a person can mend them, and each probe is one more refusal at the vendor's door."""
PROBE_SECONDS: Final = 20.0
"""How long a probe may take before another is let through: longer than the longest call, whose process may die."""
INVITED_SECONDS: Final = 5.0
"""How long a row that is sent out as a probe has the way to itself: as long as a message may need to its worker."""
SAME_TROUBLE: Final = 900.0
"""A circuit that opens for the same cause within so many seconds of its closing raises no second alarm."""
KEPT: Final = 86_400.0
"""A circuit that nobody has asked for a day is forgotten."""

# The hash of a circuit. Closed: failures, code. Open: also opened and ends (microseconds), period, and probe and
# probe_ends while one is under way. `opened` is the name of the episode: only a call that went through as a probe in
# this episode may close the circuit, not a slow one from before. Answers: 0 nothing to do, 1 opened, 2 opened again
# for the same cause, 3 open still, 4 closed (and for how long it had been open).
_REPORT: Final = """
local outcome, code, name, probe, episode = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local had = redis.call('HMGET', KEYS[1], 'opened', 'period', 'probe', 'code')
local opened, was = had[1], had[4]
if outcome == 'answered' then
  if opened and opened ~= episode then return {3, 0} end
  redis.call('DEL', KEYS[1], KEYS[4])
  redis.call('SREM', KEYS[2], name)
  if not opened then return {0, 0} end
  redis.call('SET', KEYS[3], was, 'PX', ARGV[11])
  return {4, now - tonumber(opened)}
end
if opened and had[3] ~= probe then return {3, 0} end
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
redis.call('HSET', KEYS[1], 'code', code)
redis.call('SADD', KEYS[2], name)
if not opened and failures < tonumber(ARGV[6]) and outcome ~= 'refused' then
  redis.call('PEXPIRE', KEYS[1], ARGV[10])
  return {0, 0}
end
local period = tonumber(ARGV[7])
if outcome == 'refused' then period = tonumber(ARGV[9])
elseif opened then period = math.min(tonumber(had[2]) * 2, tonumber(ARGV[8])) end
redis.call('HSET', KEYS[1], 'ends', string.format('%.0f', now + period), 'period', string.format('%.0f', period))
redis.call('HDEL', KEYS[1], 'probe', 'probe_ends')
redis.call('DEL', KEYS[4])
redis.call('PEXPIRE', KEYS[1], ARGV[12])
if opened then
  if outcome == 'refused' and was ~= code then return {1, 0} end
  return {3, 0}
end
redis.call('HSET', KEYS[1], 'opened', string.format('%.0f', now))
if redis.call('GET', KEYS[3]) == code then return {2, 0} end
return {1, 0}
"""

_STATES: Final = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local had = redis.call('HMGET', ARGV[1] .. name, 'failures', 'code', 'opened', 'ends', 'probe_ends')
  if had[1] then
    local free = math.max(tonumber(had[4] or 0), tonumber(had[5] or 0))
    local since = had[3] and now - tonumber(had[3]) or -1
    table.insert(found, {name, tonumber(had[1]), had[2], since, math.max(0, free - now)})
  else
    redis.call('SREM', KEYS[1], name)
  end
end
return found
"""

_INVITE: Final = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local had = redis.call('HMGET', KEYS[1], 'opened', 'ends', 'probe_ends')
if not had[1] or now < math.max(tonumber(had[2]), tonumber(had[3] or 0)) then return 0 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then return 1 end
return 0
"""


@dataclass(frozen=True, slots=True)
class Pass:
    """How a call got through: as the `probe` of an `episode`, or past a circuit that was `clear` of any failure."""

    probe: str = ""
    episode: str = ""
    clear: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What a report did: `opened`, and whether `again` for the same cause; `closed` after `open_s`; or left `open`."""

    opened: bool = False
    again: bool = False
    closed: bool = False
    open: bool = False
    open_s: float = 0.0


def scope_of(database_url: str | None) -> str:
    """A short word for the deployment: its ledger's place, without user and password.

    One deployment serves one account of each vendor, so this tells accounts apart where two deployments share a
    Redis. It is not made from the vendors' tokens, because the keeper, which has none of them, reads the circuits.
    """
    url = make_url(database_url or "none://")
    place = f"{url.host or url.query.get('host', '')}:{url.port or ''}/{url.database or ''}"
    return hashlib.sha256(place.encode()).hexdigest()[:10]


def circuit_of(vendor: str, kind: str) -> str:
    """The name of the circuit that a call belongs to."""
    return f"{vendor}:{kind.partition(':')[0]}"


class RedisCircuits:
    """The circuits of one deployment. Raises redis.RedisError from `report`, Transient from the Circuits port."""

    def __init__(self, client: redis.Redis, scope: str = "") -> None:
        self.client = client
        self._prefix = f"revpipe:{scope}:circuit:"
        self._names = f"revpipe:{scope}:circuits"
        self._report = client.register_script(_REPORT)
        self._states = client.register_script(_STATES)
        self._invite = client.register_script(_INVITE)

    def key(self, name: str) -> str:
        """Where the circuit's hash is."""
        return self._prefix + name

    def report(self, name: str, error: RevpipeError | None, passed: Pass) -> Change:
        """Tell how a call ended that `passed`; says what that changed."""
        outcome = outcome_of(error)
        if outcome == "answered" and passed.clear:
            return Change()
        key = self.key(name)
        keys = [key, self._names, f"{key}:last", f"{key}:invited"]
        words: list[str | int] = [outcome, error.code if error else "", name, passed.probe, passed.episode, FAILURES]
        told, took_us = self._report(keys=keys, args=[*words, *_periods(), *_lives()])
        return Change(
            opened=told in (1, 2), again=told == 2, closed=told == 4, open=told in (1, 2, 3), open_s=int(took_us) / 1e6
        )

    def states(self) -> Mapping[str, CircuitState]:
        """All circuits that failed lately or are open; one that is missing is closed."""
        try:
            rows = self._states(keys=[self._names], args=[self._prefix])
        except redis.RedisError as error:
            raise _unanswered(error) from error
        found = [_state(row) for row in rows]
        return {one.name: one for one in sorted(found, key=lambda one: one.name)}

    def invite(self, name: str) -> bool:
        """Whether one row should be sent out as the probe now."""
        key = self.key(name)
        try:
            return bool(self._invite(keys=[key, f"{key}:invited"], args=[round(INVITED_SECONDS * 1000)]))
        except redis.RedisError as error:
            raise _unanswered(error) from error


def outcome_of(error: RevpipeError | None) -> str:
    """What a call's end says of the vendor: it `answered`, it `failed`, or it `refused` our credentials."""
    if isinstance(error, CredentialsRefused):
        return "refused"
    failed = isinstance(error, Transient) and not isinstance(error, RateLimited)
    return "failed" if failed else "answered"


def told(circuits: Circuits | None, waiting: Mapping[str, int]) -> list[dict[str, Any]] | None:
    """Circuits that failed lately, are open, or that rows wait for, with how many; None if nobody can tell."""
    if circuits is None:
        return []
    try:
        states = dict(circuits.states())
    except Transient:
        return None
    for name in waiting:
        states.setdefault(name, CircuitState(name, CLOSED, 0))
    return [asdict(states[name]) | {"waiting": waiting.get(name, 0)} for name in sorted(states)]


def _periods() -> list[int]:
    return [round(seconds(one) * 1e6) for one in (FIRST_PERIOD, LONGEST_PERIOD, REFUSED_PERIOD)]


def _lives() -> list[int]:
    return [round(one * 1000) for one in (COUNTED_FOR, SAME_TROUBLE, KEPT)]


def _state(row: Sequence[bytes | str | int]) -> CircuitState:
    name, failures, code, since_us, wait_us = row
    base = CircuitState(_word(name), CLOSED, int(failures), _word(code))
    if int(since_us) < 0:
        return base
    state = OPEN if int(wait_us) > 0 else HALF_OPEN
    return CircuitState(base.name, state, base.failures, base.code, int(since_us) / 1e6, int(wait_us) / 1e6)


def _word(given: bytes | str | int) -> str:
    """A client may decode its answers or not."""
    return given.decode() if isinstance(given, bytes) else str(given)


def _unanswered(error: redis.RedisError) -> Transient:
    return Transient(f"the circuits can't be asked for: {type(error).__name__}")
