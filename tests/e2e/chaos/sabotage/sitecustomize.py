"""Takes one promise out of revpipe's processes: Python runs this file at its start if it lies on PYTHONPATH.

CHAOS_SABOTAGE names what is done, several words with commas between. The product has no switch for any of it: its
modules are changed here just after they were loaded. Words that begin with `slow` take nothing away; they only widen
a moment that is otherwise too short to be hit each time.
"""

import importlib.abc
import importlib.machinery
import os
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

Change = Callable[[ModuleType], None]
MOMENT = 0.6


def no_claim(work: ModuleType) -> None:
    """A row that somebody has may be taken, and whoever asks whether a row is still theirs hears yes."""
    claim, renew, still_held = work.claim, work.renew, work.still_held

    def give_up(tx: Any, table: Any, ids: Sequence[uuid.UUID], claim_id: uuid.UUID | None) -> None:
        values = {"claim_id": claim_id, "lease_until": None}
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        statement = f"UPDATE {table.name} SET {assignments} WHERE {table.key} = ANY(:ids)"
        tx.execute(work.text(statement), {**values, "ids": list(ids)})

    def claim_all(tx: Any, table: Any, stage: str, chunk: Any, *rest: Any, **more: Any) -> Any:
        give_up(tx, table, chunk.ids, None)
        return claim(tx, table, stage, chunk, *rest, **more)

    def renew_all(tx: Any, held: Any, *rest: Any, **more: Any) -> Any:
        give_up(tx, held.table, held.ids, held.claim_id)
        return renew(tx, held, *rest, **more)

    def all_held(tx: Any, held: Any) -> Any:
        give_up(tx, held.table, held.ids, held.claim_id)
        return still_held(tx, held)

    work.claim, work.renew, work.still_held = claim_all, renew_all, all_held


def slow_to_call(act: ModuleType) -> None:
    """A moment passes between the claim of an action and the call."""
    verified = act._verified

    def later(*given: Any) -> Any:
        time.sleep(MOMENT)
        return verified(*given)

    act._verified = later


def slow_to_claim(work: ModuleType) -> None:
    """A moment passes between the start of a task and its claim."""
    claim = work.claim

    def later(*given: Any, **more: Any) -> Any:
        time.sleep(MOMENT)
        return claim(*given, **more)

    work.claim = later


def early_ack(app: ModuleType) -> None:
    """Messages are acknowledged before their work."""
    make_app = app.make_app

    def hasty(*given: Any, **more: Any) -> Any:
        made = make_app(*given, **more)
        made.conf.task_acks_late = False
        return made

    app.make_app = hasty


def soon_redelivered(app: ModuleType) -> None:
    """What nobody acknowledges comes again after ten seconds instead of five minutes."""
    make_app = app.make_app

    def made_so(*given: Any, **more: Any) -> Any:
        made = make_app(*given, **more)
        soon = {"visibility_timeout": 10, "unacked_restore_interval": 2}
        made.conf.broker_transport_options = {**made.conf.broker_transport_options, **soon}
        return made

    app.make_app = made_so


def no_message_lost(sweep: ModuleType) -> None:
    """The sweep does not look for messages that never came."""
    sweep._suspicious = lambda *_: []


def no_sweep(sweep: ModuleType) -> None:
    """Nothing is swept, after a flush neither."""
    sweep.sweep = lambda _: {}
    sweep.after_flush = lambda _: 0


def no_look(act: ModuleType) -> None:
    """No try of unknown end is looked for before the next."""
    act._verified = lambda *_: {}


def no_dedupe(source: ModuleType) -> None:
    """Every delivery of an event is an event of its own."""
    source.stable_id = lambda *_: uuid.uuid4()


CHANGES: dict[str, tuple[str, Change]] = {
    "no claim": ("revpipe.work", no_claim),
    "slow to claim": ("revpipe.work", slow_to_claim),
    "slow to call": ("revpipe.act", slow_to_call),
    "early ack": ("tasks.app", early_ack),
    "soon redelivered": ("tasks.app", soon_redelivered),
    "no message lost": ("revpipe.sweep", no_message_lost),
    "no sweep": ("revpipe.sweep", no_sweep),
    "no look": ("revpipe.act", no_look),
    "no dedupe": ("adapters.hubspot.source", no_dedupe),
}


class Saboteur(importlib.abc.MetaPathFinder):
    """Finds a module as everybody does, and changes it once it is loaded."""

    def __init__(self, wanted: dict[str, list[Change]]) -> None:
        self._wanted = wanted

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        """The module's own spec, with a loader that does a little more."""
        if name not in self._wanted:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                self._bend(spec.loader, self._wanted[name])
                return spec
        return None

    def _bend(self, loader: Any, changes: list[Change]) -> None:
        load = loader.exec_module

        def load_and_change(module: ModuleType) -> None:
            load(module)
            for change in changes:
                change(module)

        loader.exec_module = load_and_change


def _enlist() -> None:
    wanted: dict[str, list[Change]] = {}
    for word in filter(None, os.environ.get("CHAOS_SABOTAGE", "").split(",")):
        module, change = CHANGES[word]
        wanted.setdefault(module, []).append(change)
    if wanted:
        sys.meta_path.insert(0, Saboteur(wanted))


_enlist()
