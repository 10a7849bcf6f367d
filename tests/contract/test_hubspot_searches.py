"""Searches that come together, against the sandbox over HTTP: how many calls they take, and who gets what."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hubspot_wire import OpenGate, Settings

from adapters.http import BLIP_TRIES
from adapters.hubspot.client import HubSpotClient
from adapters.hubspot.searching import Searches, _Asked
from adapters.sandbox.control import plant
from adapters.sandbox.server import SandboxServer
from revpipe.errors import CircuitOpen, Permanent
from revpipe.hold import LeaseOver

PROPERTIES = ("name", "domain")


class HeldGate(OpenGate):
    """Holds the first call until it is told to let it pass; what `refusals` holds is raised for those that follow."""

    def __init__(self):
        super().__init__()
        self.passes = threading.Event()
        self.refusals = []

    def spend(self, vendor, kind):
        super().spend(vendor, kind)
        if self.calls == 1:
            assert self.passes.wait(10)
        elif self.refusals:
            raise self.refusals.pop(0)


@pytest.fixture
def gate():
    return HeldGate()


@pytest.fixture
def searches(gate):
    with SandboxServer() as server:
        server.world.hubspot.knobs.search_rate_limit = None
        objects = [
            {"type": "companies", "id": str(1000 + n), "properties": {"domain": f"a{n}.example", "name": "A"}}
            for n in range(150)
        ]
        plant(server.world, {"hubspot": {"objects": objects}})
        yield Searches(HubSpotClient(Settings(server.url + "/hubspot"), gate), "companies", "domain", PROPERTIES)


def domains(*numbers):
    return [f"a{number}.example" for number in numbers]


def together(searches, gate, *asked):
    """Let one search be under way while others come; what each of them found, or raised."""
    with ThreadPoolExecutor(len(asked) + 1) as pool:
        first = pool.submit(searches.find, domains(0))
        wait_for(lambda: gate.calls == 1)
        others = [pool.submit(searches.find, domains(*numbers)) for numbers in asked]
        wait_for(lambda: len(searches._waiting) == len({number for numbers in asked for number in numbers}))
        gate.passes.set()
        assert set(first.result(10).records) == {"1000"}
        return [one.exception(10) or one.result() for one in others]


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_those_that_wait_share_the_next_search(searches, gate):
    one, two, three = together(searches, gate, (1, 2), (2, 3), (4, 999))
    assert set(one.records) == {"1001", "1002"}
    assert set(two.records) == {"1002", "1003"}
    assert (set(three.records), three.errors) == ({"1004"}, {})
    assert gate.calls == 2


def test_more_than_one_search_can_ask_for_is_asked_for_in_full_searches(searches, gate):
    found = together(searches, gate, range(1, 61), range(61, 121), range(121, 150))
    assert [len(one.records) for one in found] == [60, 60, 29]
    assert gate.calls == 3


def test_a_value_that_is_refused_costs_no_other_its_answer(searches, gate):
    # As often as a hundred can be halved, so that in the end it is one.
    gate.refusals = [Permanent("not so")] * 7
    one, two = together(searches, gate, range(1, 61), range(61, 121))
    (refused,) = {**one.errors, **two.errors}
    assert len(one.records) + len(two.records) == 119
    assert set(searches.find([refused]).records), "it is asked for anew by who comes next"


def test_a_lease_that_ends_between_two_halves_stops_its_holder_only(searches, gate):
    gate.refusals = [Permanent("not so"), *[LeaseOver("over")] * BLIP_TRIES]
    found = together(searches, gate, (1, 2), (3, 4))
    assert sorted(type(one).__name__ for one in found) == ["Batch", "LeaseOver"]
    (batch,) = (one for one in found if not isinstance(one, LeaseOver))
    assert (len(batch.records), batch.errors) == (2, {})


def test_what_its_asker_no_longer_waits_for_is_not_searched_for(searches, gate):
    gate.refusals = [LeaseOver("over")] * BLIP_TRIES
    (left,) = together(searches, gate, range(1, 150))
    assert isinstance(left, LeaseOver)
    before = gate.calls
    assert set(searches.find(domains(0)).records) == {"1000"}
    assert (gate.calls, len(searches._waiting)) == (before + 1, 0)


def test_who_gets_to_search_asks_for_its_own_first(searches, gate):
    gate.passes.set()
    with searches._joining:
        searches._waiting.update(searches_of_many())
    assert set(searches.find(domains(0)).records) == {"1000"}
    assert gate.calls == 1


def searches_of_many():
    return {f"b{number}.example": _Asked(1) for number in range(300)}


def test_broken_off_a_search_leaves_nobody_waiting(searches, gate, monkeypatch):
    def broken_off(*_):
        raise SystemExit

    monkeypatch.setattr(gate, "report", broken_off)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(searches.find, domains(1))
        wait_for(lambda: gate.calls == 1)
        second = pool.submit(searches.find, domains(2))
        wait_for(lambda: len(searches._waiting) == 1)
        gate.passes.set()
        assert isinstance(first.exception(10), SystemExit)
        assert isinstance(second.exception(10), SystemExit)
    assert not searches._waiting


def test_an_open_circuit_is_the_end_for_all_that_wait(searches, gate):
    gate.refusals = [CircuitOpen("open", circuit="hubspot", retry_after=1.0)]
    one, two = together(searches, gate, range(1, 61), range(61, 121))
    assert (len(one.errors), len(two.errors)) == (60, 60)
    assert gate.calls == 2, "another search would only have waited again"


def test_a_lease_that_is_over_stops_its_holder_only(searches, gate):
    gate.refusals = [LeaseOver("over")] * BLIP_TRIES
    found = together(searches, gate, (1,), (2,))
    assert sorted(type(one).__name__ for one in found) == ["Batch", "LeaseOver"]
    (batch,) = (one for one in found if not isinstance(one, LeaseOver))
    assert (len(batch.records), batch.errors) == (1, {})


def test_a_fault_of_ours_is_raised_and_hangs_nobody(searches, gate, monkeypatch):
    monkeypatch.setattr(searches, "value_of", lambda _record: 1 / 0)
    with ThreadPoolExecutor(1) as pool:
        gate.passes.set()
        assert isinstance(pool.submit(searches.find, domains(1)).exception(10), ZeroDivisionError)
