"""When a worker counts as deaf: only after look upon look at messages that it had the hands free for."""

from collections.abc import Callable

import pytest

from revpipe.errors import Transient
from tasks.watchdog import EXIT_CODE, Watchdog


class Scene:
    """What the watchdog sees, and whether it has ended the worker."""

    def __init__(self) -> None:
        self.waiting = 3
        self.free = 1
        self.away = False
        self.ended: list[int] = []
        self.dog = Watchdog(self._ask, lambda: self.free, self.ended.append, deaf_after=20, every=5)
        self.dog.heard()
        self.dog.look()

    def _ask(self) -> int:
        if self.away:
            raise Transient("the broker can't be asked")
        return self.waiting

    def looks(self, times: int) -> None:
        for _ in range(times):
            self.dog.look()


def test_four_looks_of_five_seconds_make_twenty() -> None:
    scene = Scene()
    scene.looks(3)
    assert scene.ended == []
    scene.looks(1)
    assert scene.ended == [EXIT_CODE]


def test_who_never_heard_anything_has_a_minute_to_start() -> None:
    ended: list[int] = []
    dog = Watchdog(lambda: 3, lambda: 1, ended.append, deaf_after=20, every=5)
    for _ in range(11):
        dog.look()
    assert ended == []
    dog.look()
    assert ended == [EXIT_CODE]


def _heard(scene: Scene) -> None:
    scene.dog.heard()


def _empty(scene: Scene) -> None:
    scene.waiting = 0


def _busy(scene: Scene) -> None:
    scene.free = 0


def _away(scene: Scene) -> None:
    scene.away = True


@pytest.mark.parametrize("happens", [_heard, _empty, _busy, _away])
def test_anything_else_begins_the_count_anew(happens: Callable[[Scene], None]) -> None:
    scene = Scene()
    for _ in range(3):
        scene.looks(3)
        happens(scene)
        scene.looks(1)
        scene.waiting, scene.free, scene.away = 3, 1, False
    assert scene.ended == []
    scene.looks(4)
    assert scene.ended == [EXIT_CODE]


def test_told_to_stop_it_looks_no_more() -> None:
    looked: list[int] = []
    ended: list[int] = []
    dog = Watchdog(lambda: looked.append(1) or 3, lambda: 1, ended.append, deaf_after=0.02, every=0.01)
    dog.stop()
    dog.start()
    dog.join(10)
    assert (looked, ended) == ([], [])
