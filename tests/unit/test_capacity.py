"""The capacity calculator on costs that can be reckoned in one's head."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from revpipe.capacity.costs import Line
from revpipe.capacity.estimate import estimate
from revpipe.capacity.wanted import Wanted, parse_mix
from revpipe.retention import Retention
from tests.unit.capacity_costs import costs

KEPT = Retention(timedelta(days=90), timedelta(days=400), None, timedelta(days=400), timedelta(days=400))
SINGLE = {"single": 1.0, "batch": 0.0, "file": 0.0}
# 720,000 a day with a tenth of them in the busiest hour: 20 a second.
BUSY = Wanted(720_000, SINGLE, acts=0.5, alerts=0.2, peak=0.1, headroom=0.5, vendor_s=0.0)


def test_dynos_are_counted_for_the_busiest_hour_with_their_headroom() -> None:
    found = estimate(BUSY, costs(), KEPT)
    assert found.per_second == pytest.approx(20)
    # A signal costs 2 ms of web and half as much again for its action: 0.06 of a processor.
    assert (found.dyno("web").count, found.dyno("web").busy) == (1, pytest.approx(0.06))
    assert (found.dyno("worker").count, found.dyno("worker").busy) == (1, pytest.approx(0.15))
    assert found.dyno("worker").carries == pytest.approx(1000 / 7.5)
    ten_times = estimate(replace(BUSY, signals_per_day=7_200_000), costs(), KEPT)
    assert (ten_times.dyno("web").count, ten_times.dyno("worker").count) == (2, 3)
    assert (ten_times.dyno("keeper").count, ten_times.dyno("beat").count) == (1, 1)


def test_a_headroom_that_is_just_kept_is_kept() -> None:
    just = replace(BUSY, signals_per_day=2_400_000)  # 0.5 of a worker, of which half stays free.
    assert estimate(just, costs(), KEPT).dyno("worker").count == 1
    assert estimate(replace(just, signals_per_day=2_400_001), costs(), KEPT).dyno("worker").count == 2


def test_a_worker_whose_threads_wait_for_vendors_is_full_of_them() -> None:
    found = estimate(replace(BUSY, vendor_s=0.4), costs(), KEPT).dyno("worker")
    # 0.5 reads, 0.4 writes and 0.1 alerts of 0.4 s each take a tenth of the four threads for each signal a second.
    assert (found.bound_by, found.carries, found.count) == ("threads", pytest.approx(10), 4)


def test_connections_are_those_of_all_dynos() -> None:
    found = estimate(replace(BUSY, signals_per_day=7_200_000), costs(), KEPT)
    assert found.database_connections == 2 * 8 + 3 * 6 + 2
    assert found.redis_connections == 2 * 4 + 3 * 10 + 2 + 1


def test_batches_cost_what_batches_cost() -> None:
    mixed = replace(BUSY, mix={"single": 0.5, "batch": 0.5, "file": 0.0})
    assert estimate(mixed, costs(), KEPT).dyno("web").busy == pytest.approx(0.06 * 0.55)


def test_limits_are_full_at_the_rates_that_the_gate_lets_through() -> None:
    by_name = {one.name: one for one in estimate(BUSY, costs(), KEPT).limits}
    hubspot = by_name["HubSpot, our rate"]
    # 0.9 calls a signal, of 14 a second.
    assert (hubspot.load, hubspot.per_second) == (pytest.approx(18), pytest.approx(14 / 0.9))
    # Singles come one by one over the day: six calls each, and one for four in ten.
    assert by_name["HubSpot, a day's calls"].per_day == pytest.approx(625_000 / 6.4)
    assert by_name["Slack, 1 channel(s)"].per_second == pytest.approx(10)
    assert by_name["broker (Redis, one processor)"].per_second == pytest.approx(1000 / 1.5)
    assert by_name["database writes"].per_second == pytest.approx(2000 / 6)
    assert by_name["keeper (one on duty)"].used == pytest.approx(0.015)


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ({}, "HubSpot, a day's calls"),
        ({"hubspot_per_day": 10_000_000}, "Slack, 1 channel(s)"),
        ({"hubspot_per_day": 10_000_000, "channels": 4}, "HubSpot, our rate"),
        ({"acts": 0.0, "database_processors": 0.001, "hubspot_per_day": 10_000_000}, "database writes"),
    ],
)
def test_the_first_bottleneck_depends_on_what_is_wanted(changed: dict[str, float], first: str) -> None:
    found = estimate(replace(BUSY, **changed), costs(), KEPT)
    assert found.first.name == first
    assert [one.used for one in found.limits] == sorted((one.used for one in found.limits), reverse=True)


def test_batches_are_not_alone() -> None:
    batches = replace(BUSY, mix={"single": 0.0, "batch": 1.0, "file": 0.0})
    day = next(one for one in estimate(batches, costs(), KEPT).limits if "day" in one.name)
    assert day.per_day == pytest.approx(625_000 / 0.9)


def test_rows_of_a_file_are_searched_for_a_hundred_at_a_time() -> None:
    rows = replace(BUSY, mix={"single": 0.0, "batch": 0.0, "file": 1.0})
    search = next(one for one in estimate(rows, costs(), KEPT).limits if one.name == "HubSpot, searches")
    assert (search.load, search.per_second) == (pytest.approx(0.2), pytest.approx(400))


def test_more_channels_do_not_raise_what_slack_takes_of_a_workspace() -> None:
    found = estimate(replace(BUSY, channels=50), costs(), KEPT)
    assert next(one.most for one in found.limits if one.name.startswith("Slack")) == 4


def test_a_plan_of_hubspot_with_more_calls_moves_its_limit() -> None:
    found = estimate(replace(BUSY, hubspot_per_10s=380), costs(), KEPT)
    assert next(one.most for one in found.limits if one.name == "HubSpot, our rate") == 28


def test_what_is_never_used_is_never_full() -> None:
    found = estimate(replace(BUSY, alerts=0.0), costs(), KEPT)
    slack = next(one for one in found.limits if one.name.startswith("Slack"))
    assert (slack.used, slack.per_second, slack.per_day) == (0.0, None, None)


def test_disk_grows_by_the_month_until_retention_takes_as_much_as_comes() -> None:
    kept = {one.kind: one for one in estimate(BUSY, costs(), KEPT).kept}
    # One delivery and one body a signal, a thousand bytes each.
    assert kept["deliveries"].month_gb == pytest.approx(720_000 * 2_000 * 30 / 1e9)
    assert kept["deliveries"].kept_gb == pytest.approx(720_000 * 2_000 * 90 / 1e9)
    assert kept["signals"].month_gb == pytest.approx(720_000 * 1_500 * 30 / 1e9)
    # Four rows a signal and five for each of its actions; kept for ever.
    assert kept["trail"].month_gb == pytest.approx(720_000 * 6_500 * 30 / 1e9)
    assert (kept["trail"].days, kept["trail"].kept_gb) == (None, None)


def test_deliveries_of_a_batch_are_shared() -> None:
    batches = replace(BUSY, mix={"single": 0.0, "batch": 1.0, "file": 0.0})
    kept = {one.kind: one for one in estimate(batches, costs(), KEPT).kept}
    assert kept["deliveries"].month_gb == pytest.approx(720_000 * 1_010 * 30 / 1e9)


def test_wal_is_told_where_all_of_the_mix_was_measured() -> None:
    assert estimate(BUSY, costs(), KEPT).wal_gb_per_day == pytest.approx(720_000 * 12_500 / 1e9)
    known = costs()
    unknown = replace(known, shapes={**known.shapes, "single": replace(known.shapes["single"], wal_bytes=None)})
    assert estimate(BUSY, unknown, KEPT).wal_gb_per_day is None


def test_a_cost_grows_with_the_share_that_acts() -> None:
    assert Line(2.0, 3.0).at(0.2) == pytest.approx(2.6)


def test_a_mix_is_read_in_per_cent() -> None:
    assert parse_mix("single=60, file=40") == {"single": 0.6, "batch": 0.0, "file": 0.4}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("single=60,batch=30", "the shares make 90 %, not 100"),
        ("single=60,bulk=40", "'bulk' is no way for signals to arrive; there are: single, batch, file"),
        ("single=50,single=50", "single is named twice"),
        ("single=-10,batch=110", "single=-10: write a percentage from 0 to 100"),
        ("single=nan", "single=nan: write a percentage"),
        ("single", "single=: write a percentage"),
        ("", "'' is no way for signals to arrive"),
    ],
)
def test_a_bad_mix_is_told_what_is_wrong_with_it(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_mix(text)
