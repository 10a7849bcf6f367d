"""The schedule and the traffic of a rehearsal follow from its seed."""

from collections import Counter
from itertools import pairwise

from revpipe.drill.schedule import EARLY, SERVER_GAP, WEIGHTS, make
from revpipe.drill.traffic import Traffic, channels_named


def test_a_seed_makes_one_schedule() -> None:
    assert make(3, 60, 1.5, 4.0) == make(3, 60, 1.5, 4.0)
    assert make(3, 60, 1.5, 4.0) != make(4, 60, 1.5, 4.0)


def test_a_long_schedule_has_every_kind_of_attack() -> None:
    kinds = Counter(one.kind for seed in range(3) for one in make(seed, 120, 1.5, 4.0))
    assert set(kinds) == set(WEIGHTS)
    in_a_row = [one.kind for one in make(1, 120, 1.5, 4.0)]
    assert sum(first == second for first, second in pairwise(in_a_row)) < len(in_a_row) / 4
    assert max(kinds, key=lambda kind: kinds[kind]) == "kill worker"


def test_servers_are_given_time_between_two_restarts_and_slow_kinds_come_early() -> None:
    for seed in range(20):
        attacks = make(seed, 60, 1.0, 4.0)
        restarts = [one.at for one in attacks if one.kind in ("broker restart", "database restart")]
        assert all(later - earlier >= SERVER_GAP for earlier, later in pairwise(restarts))
        assert all(one.at <= 60 * EARLY.get(one.kind, 1.0) for one in attacks)
        assert all(one.lasts > 4.0 for one in attacks if one.kind == "freeze past the lease")


def test_a_seed_makes_one_traffic_of_about_the_size_asked_for() -> None:
    for seed, signals in ((1, 50), (2, 200), (3, 2000)):
        told = Traffic(seed, signals, 30.0)
        again = Traffic(seed, signals, 30.0)
        assert [(one.at, one.hold, one.repeats, one.changes) for one in told.steps] == [
            (one.at, one.hold, one.repeats, one.changes) for one in again.steps
        ]
        assert signals <= sum(one.signals for one in told.steps) <= signals + 25
        assert told.steps[0].at == 0.0
        assert told.steps[-1].at == 30.0
        assert any(one.hold for one in told.steps)
        assert any(one.repeats for one in told.steps)
        assert any(one.call for one in told.steps)


def test_no_two_changes_of_a_deal_set_the_same_value() -> None:
    seen: set[tuple[str, str, str]] = set()
    for step in Traffic(4, 500, 30.0).steps:
        for method, path, body in step.changes:
            if method == "PATCH":
                for name, value in body["properties"].items():
                    assert (path, name, value) not in seen
                    seen.add((path, name, value))


def test_channels_of_the_rules_are_found() -> None:
    assert channels_named("channel: C0TEAM1234\nother: null # CLOSED") == ("C0TEAM1234",)
