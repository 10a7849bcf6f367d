"""The rehearsal can fail: with one promise taken out of a test build it reports what was lost or doubled.

Not collected by `make test`, since each case is a rehearsal: `make chaos-proof`. Each case stands beside its control,
in which everything else is the same and the promise is kept: the control must come out exact.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from revpipe.drill.outcome import Outcome, Wish
from revpipe.drill.run import rehearse
from revpipe.drill.schedule import Attack

HERE = Path(__file__).parent


def rehearsal(words: tuple[str, ...], attacks: Iterator[Attack], patience: float = 22.0) -> Outcome:
    """A short rehearsal of a build in which `words` of sitecustomize.py hold."""
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    return rehearse(
        Wish(
            seed=5,
            signals=100,
            seconds=14.0,
            workers=1,
            keepers=1,
            beat=False,
            patience=patience,
            limit=120.0,
            attacks=tuple(attacks),
            extra={"PYTHONPATH": path, "CHAOS_SABOTAGE": ",".join(words)},
        )
    )


def every(seconds: float, kind: str, begin: float, end: float, **detail: object) -> Iterator[Attack]:
    """One attack again and again."""
    at = begin
    while at < end:
        yield Attack(at, kind, detail={"pick": 0.5, **detail})
        at += seconds


def redelivered() -> Iterator[Attack]:
    """Whatever is in work comes again, and again."""
    return every(0.4, "redelivery", 1.0, 14.0)


def killed() -> Iterator[Attack]:
    """Workers die with messages in their hands."""
    return every(3.0, "kill worker", 3.0, 13.0)


def flushed_and_killed() -> Iterator[Attack]:
    """The broker forgets, and workers die."""
    yield from every(4.0, "flush", 3.0, 13.0)
    yield from every(4.0, "kill worker", 5.0, 13.0)


def unanswered() -> Iterator[Attack]:
    """HubSpot makes the task and does not say so."""
    return every(1.5, "effect without answer", 1.0, 13.0, vendor="hubspot", count=2)


def assert_exact(outcome: Outcome) -> None:
    """Nothing lost, doubled or left."""
    assert outcome.count.exact, (outcome.count.lost, outcome.count.doubled, outcome.count.in_flight)
    assert outcome.count.dispositions["acted"] >= 5


@pytest.mark.timeout(240)
def test_without_claims_an_action_is_done_twice() -> None:
    outcome = rehearsal(("slow to call", "no claim"), redelivered())
    assert any("had its effect" in one for one in outcome.count.doubled)


@pytest.mark.timeout(240)
def test_with_claims_a_second_copy_of_a_message_does_nothing() -> None:
    assert_exact(rehearsal(("slow to call",), redelivered()))


ONLY_THE_BROKER = ("slow to claim", "soon redelivered", "no message lost")
"""A late acknowledgement is covered twice: the sweep finds a lost message by itself. Here it may not look."""


@pytest.mark.timeout(240)
def test_with_an_early_acknowledgement_and_no_look_for_its_message_a_signal_is_lost() -> None:
    outcome = rehearsal((*ONLY_THE_BROKER, "early ack"), killed())
    assert any("never moves" in one for one in outcome.count.lost)


@pytest.mark.timeout(240)
def test_with_a_late_acknowledgement_alone_the_broker_brings_it_again() -> None:
    assert_exact(rehearsal(ONLY_THE_BROKER, killed(), patience=45.0))


@pytest.mark.timeout(240)
def test_without_the_sweep_a_signal_is_lost() -> None:
    outcome = rehearsal(("no sweep",), flushed_and_killed())
    assert any("never moves" in one for one in outcome.count.lost)


@pytest.mark.timeout(240)
def test_without_a_look_before_the_next_try_an_action_is_done_twice() -> None:
    outcome = rehearsal(("no look",), unanswered())
    assert any("had its effect" in one for one in outcome.count.doubled)


@pytest.mark.timeout(240)
def test_without_the_key_of_an_event_its_repeats_are_signals() -> None:
    outcome = rehearsal(("no dedupe",), iter(()))
    assert any("signals" in one for one in outcome.count.doubled)


@pytest.mark.timeout(240)
def test_as_built_the_same_attacks_do_no_harm() -> None:
    assert_exact(rehearsal((), iter((*flushed_and_killed(), *unanswered()))))
