"""The account's own limit at HubSpot: no plan's limit is ever passed, and only HubSpot's changes."""

import pytest

from config.settings import SettingsError, load
from revpipe.gate import HUBSPOT_PER_10S, LIMITS, limits


@pytest.mark.parametrize("allowed", [10, 100, 110, 190, 250, 100_000])
def test_a_plan_is_kept_to_and_most_of_it_used(allowed: int) -> None:
    rate = limits(allowed)["hubspot", "default"]
    used = rate.burst + 10 * rate.tokens / rate.per_seconds
    assert 0.75 * allowed <= used <= 0.9 * allowed


def test_the_usual_plan_changes_nothing() -> None:
    assert limits(HUBSPOT_PER_10S) == LIMITS
    assert load({}).hubspot_calls_per_10s == HUBSPOT_PER_10S


def test_other_limits_stay() -> None:
    others = {key: rate for key, rate in limits(250).items() if key != ("hubspot", "default")}
    assert others == {key: rate for key, rate in LIMITS.items() if key != ("hubspot", "default")}


@pytest.mark.parametrize("value", ["0", "9", "100001", "many", "-5", "19.5"])
def test_a_limit_that_can_not_be_meant_is_told(value: str) -> None:
    with pytest.raises(SettingsError, match="HUBSPOT_CALLS_PER_10S is wrong"):
        load({"HUBSPOT_CALLS_PER_10S": value})


def test_a_limit_is_read() -> None:
    assert load({"HUBSPOT_CALLS_PER_10S": " 250 "}).hubspot_calls_per_10s == 250
