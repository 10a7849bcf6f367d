import pytest

from adapters.hubspot.cache import Cached
from revpipe.errors import Transient


class Loads:
    """Counts its calls and fails when told to."""

    def __init__(self):
        self.count, self.failing = 0, False

    def __call__(self):
        if self.failing:
            raise Transient("down")
        self.count += 1
        return self.count


def test_it_is_loaded_again_only_when_older_than_asked_for():
    now, load = [0.0], Loads()
    cached = Cached(load, clock=lambda: now[0])
    assert [cached.get(300), cached.get(300)] == [1, 1]
    now[0] = 100.0
    assert [cached.get(300), cached.get(60), cached.get(60)] == [1, 2, 2]


def test_a_failed_load_is_told_and_tried_again():
    now, load = [0.0], Loads()
    cached = Cached(load, clock=lambda: now[0])
    load.failing = True
    with pytest.raises(Transient):
        cached.get(300)
    load.failing = False
    assert cached.get(300) == 1
