"""The retry decision: the table of errors, then what must hold for any error, attempt and policy."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revpipe import time_scale
from revpipe.errors import (
    BadPayload,
    CircuitOpen,
    CredentialsRefused,
    EffectUnknown,
    Misconfigured,
    NotFound,
    Permanent,
    RateLimited,
    Transient,
)
from revpipe.failures import policy_of
from revpipe.retry import LONGEST_RETRY_AFTER, SHORTEST_WAIT, Bury, Park, Policy, RetryAt, decide

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
POLICY = Policy(attempts=5, backoff=2.0, cap=10.0)


def at(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("error", "attempt", "expected"),
    [
        (Permanent("400"), 1, Bury("permanent")),
        (NotFound("404"), 1, Bury("not_found")),
        (BadPayload("not_json"), 1, Bury("bad_payload")),
        (Permanent("400"), 9, Bury("permanent")),
        (CredentialsRefused("401"), 1, Park(at(300), "credentials_refused")),
        (CredentialsRefused("401"), 9, Park(at(300), "credentials_refused")),
        (Transient("503"), 1, RetryAt(at(1.5), "transient")),
        (Transient("503"), 2, RetryAt(at(3), "transient")),
        (Transient("503"), 4, RetryAt(at(7.5), "transient")),
        (Transient("503", ambiguous=True), 4, RetryAt(at(7.5), "transient")),
        (Transient("503"), 5, Park(at(9.5), "transient")),
        (Transient("503"), 60, Park(at(9.5), "transient")),
        (RateLimited("429", retry_after=40), 1, RetryAt(at(42), "rate_limited")),
        (RateLimited("429", retry_after=40), 5, Park(at(42), "rate_limited")),
        (RateLimited("429", retry_after=0), 1, RetryAt(at(0.1), "rate_limited")),
        (RateLimited("429", retry_after=-3), 1, RetryAt(at(0.1), "rate_limited")),
        (RateLimited("429", retry_after=float("nan")), 1, RetryAt(at(0.1), "rate_limited")),
        (RateLimited("429", retry_after=float("inf")), 1, RetryAt(at(3600), "rate_limited")),
        (RateLimited("429", retry_after=86400), 7, Park(at(3600), "rate_limited")),
        (RateLimited("429"), 2, RetryAt(at(3), "rate_limited")),
        (RateLimited("429"), 5, Park(at(7.5), "rate_limited")),
        (KeyError("deal"), 1, RetryAt(at(1.5), "error:KeyError")),
        (KeyError("deal"), 5, Bury("error:KeyError")),
    ],
)
def test_table(error, attempt, expected):
    assert decide(error, attempt, POLICY, NOW, lambda: 0.5) == expected


@pytest.mark.parametrize("attempt", [1, 5, 60])
@pytest.mark.parametrize("error", [Transient("503", ambiguous=True), CredentialsRefused("401")])
def test_what_failed_by_an_open_circuit_waits_for_that_circuit_at_any_attempt(error, attempt):
    error.circuit = "hubspot:default"
    assert decide(error, attempt, POLICY, NOW) == Park(at(600), error.code, "hubspot:default")
    refused = CircuitOpen("open", circuit="hubspot:default", retry_after=3)
    assert decide(refused, attempt, POLICY, NOW) == Park(at(600), "circuit_open", "hubspot:default")


def test_what_will_never_work_waits_for_no_circuit():
    error = Permanent("400")
    error.circuit = "hubspot:default"
    assert decide(error, 1, POLICY, NOW) == Bury("permanent")


def test_a_rehearsal_shortens_the_waits():
    time_scale.arm(40)
    try:
        refused = CircuitOpen("open", circuit="hubspot:default", retry_after=3)
        assert decide(refused, 1, POLICY, NOW).until == at(15)
        assert decide(CredentialsRefused("401"), 1, POLICY, NOW).until == at(7.5)
        assert policy_of("enrich.high") == Policy(attempts=8, backoff=0.05, cap=3)
    finally:
        time_scale.arm(1)
    assert policy_of("enrich.high") == Policy(attempts=8, backoff=2, cap=120)


@pytest.mark.parametrize("scale", [0, 0.5, -1, 1001, float("nan"), float("inf")])
def test_a_scale_that_makes_no_sense_is_refused(scale):
    with pytest.raises(Misconfigured, match="from 1 to 1000"):
        time_scale.arm(scale)


def test_an_unknown_effect_is_never_answered_with_a_retry():
    with pytest.raises(ValueError, match="unknown"):
        decide(EffectUnknown("no answer"), 1, POLICY, NOW)


def test_attempts_count_from_one():
    with pytest.raises(ValueError, match="count from 1"):
        decide(Transient("503"), 0, POLICY, NOW)


@pytest.mark.parametrize("values", [(0, 1.0, 2.0), (1, 0.0, 2.0), (1, -1.0, 2.0), (1, 3.0, 2.0)])
def test_policies_that_can_not_work(values):
    with pytest.raises(ValueError, match="at least one attempt"):
        Policy(*values)


def test_no_generator_of_chance_is_needed():
    assert isinstance(decide(Transient("503"), 1, POLICY, NOW), RetryAt)


_SECONDS = st.floats(min_value=-10, max_value=1e9) | st.sampled_from([0.0, float("inf"), float("nan")])
_ERRORS = st.one_of(
    st.builds(Transient, st.just("503"), ambiguous=st.booleans()),
    st.builds(lambda after: RateLimited("429", retry_after=after), st.none() | _SECONDS),
    st.sampled_from([Permanent("400"), CredentialsRefused("401"), ValueError("bug"), BadPayload("empty")]),
)
_POLICIES = st.builds(
    lambda attempts, backoff, factor: Policy(attempts, backoff, backoff * factor),
    st.integers(1, 20),
    st.floats(0.001, 100),
    st.floats(1, 1000),
)
_CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)
_MOMENTS = st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(_ERRORS, st.integers(1, 10_000), _POLICIES, _MOMENTS, _CHANCE)
def test_a_wait_is_never_zero_and_never_without_end(error, attempt, policy, now, chance):
    decision = decide(error, attempt, policy, now, lambda: chance)
    if isinstance(decision, Bury):
        return
    due = decision.due if isinstance(decision, RetryAt) else decision.until
    longest = max(policy.cap, LONGEST_RETRY_AFTER)
    assert timedelta(seconds=SHORTEST_WAIT) <= due - now <= timedelta(seconds=longest)


@given(_ERRORS, st.integers(0, 10_000), _POLICIES, _CHANCE)
def test_attempts_run_out(error, beyond, policy, chance):
    decision = decide(error, policy.attempts + beyond, policy, NOW, lambda: chance)
    assert not isinstance(decision, RetryAt)
    assert isinstance(decision, Park) == isinstance(error, Transient | CredentialsRefused)


@given(st.integers(1, 5000), _POLICIES, _CHANCE, _CHANCE)
def test_backoff_grows_to_its_cap_and_no_further(attempt, policy, low, high):
    patient = Policy(10_000, policy.backoff, policy.cap)

    def wait(number, chance):
        return (decide(Transient("503"), number, patient, NOW, lambda: chance).due - NOW).total_seconds()

    assert wait(attempt, low) <= wait(attempt + 1, low)
    assert wait(attempt, min(low, high)) <= wait(attempt, max(low, high))
    assert wait(attempt, high) <= max(policy.cap, SHORTEST_WAIT) + 1e-6
    # Jitter takes away at most half.
    assert wait(attempt, 0) >= wait(attempt, high) / 2 - 1e-6


@given(st.floats(0, LONGEST_RETRY_AFTER), st.integers(1, 50), _CHANCE)
def test_never_sooner_than_the_vendor_asked(after, attempt, chance):
    decision = decide(RateLimited("429", retry_after=after), attempt, POLICY, NOW, lambda: chance)
    due = decision.due if isinstance(decision, RetryAt) else decision.until
    assert (due - NOW).total_seconds() >= after - 1e-6
