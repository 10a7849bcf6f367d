"""Carrying out the attacks of a schedule, and mending what they broke when their time is over."""

import contextlib
import heapq
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from revpipe.drill import ledger
from revpipe.drill.fleet import Fleet
from revpipe.drill.ground import Ground
from revpipe.drill.outcome import Blow
from revpipe.drill.proxy import Proxy
from revpipe.drill.schedule import Attack
from revpipe.local.child import Child
from revpipe.local.far_side import FarSide

AIM_SECONDS: Final = 3.0
"""How long an aimed attack waits for work in hand; then it strikes all the same."""
EFFECTS: Final = {"hubspot": "/crm/v3/objects/tasks*", "slack": "/chat.postMessage"}
"""The calls at which each vendor acts."""
LATENCY: Final = {"broker latency": 0.15, "vendor latency": 0.6}


@dataclass(slots=True)
class Attacker:
    """Strikes when told to. `blows` are all attacks so far; `links` the proxies by name."""

    ground: Ground
    fleet: Fleet
    vendors: FarSide
    links: Mapping[str, Proxy]
    blows: list[Blow] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)
    _mends: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def strike(self, attack: Attack) -> None:
        """Carry out one attack; what lasts is mended by `mend` when its time is over."""
        kind, _, rest = attack.kind.partition(" ")
        if kind == "kill":
            self._kill(attack, rest)
        elif kind == "freeze":
            self._freeze(attack)
        else:
            rows = self._await_work() if attack.aimed else _sum(ledger.held(self.ground.engine))
            self._at_once(attack)
            self._note(attack, rows, str(attack.detail.get("vendor", kind)))

    def mend(self, *, all_: bool = False) -> None:
        """End what has lasted long enough, or everything."""
        while self._mends and (all_ or self._mends[0][0] <= time.monotonic()):
            heapq.heappop(self._mends)[2]()
        if all_:
            self.fleet.thaw_all()
            for link in self.links.values():
                link.set("pass")
            self._heal()

    def _kill(self, attack: Attack, kind: str) -> None:
        """Stop a process first: what it holds at its death can then be counted to the row."""
        child, rows = self._caught(attack, kind)
        if child is not None:
            self.fleet.kill(child)
            self._note(attack, rows, child.name)

    def _freeze(self, attack: Attack) -> None:
        kinds = ("worker", "worker", "worker", "keeper", "web")
        chosen = "worker" if "lease" in attack.kind else kinds[int(attack.detail["pick"] * len(kinds))]
        child, rows = self._caught(attack, chosen)
        if child is not None:
            self._later(attack.lasts, lambda: self.fleet.thaw(child))
            self._note(attack, rows, child.name)

    def _caught(self, attack: Attack, kind: str) -> tuple[Child | None, int]:
        """A process of that kind, frozen, and how many rows it holds. Workers are caught with work in their hands."""
        deadline = time.monotonic() + AIM_SECONDS
        while attack.aimed and kind == "worker" and time.monotonic() < deadline:
            for name in _by_load(ledger.held(self.ground.engine)):
                child = self.fleet.worker(name)
                if child is None:
                    continue
                self.fleet.freeze(child)
                rows = (ledger.held(self.ground.engine) or {}).get(name, 0)
                if rows:
                    return child, rows
                self.fleet.thaw(child)
            time.sleep(0.01)
        targets = self.fleet.targets(kind)
        if not targets:
            return None, 0
        child = targets[int(attack.detail["pick"] * len(targets))]
        self.fleet.freeze(child)
        return child, 0

    def _await_work(self) -> int:
        deadline = time.monotonic() + AIM_SECONDS
        while not (rows := _sum(ledger.held(self.ground.engine))) and time.monotonic() < deadline:
            time.sleep(0.02)
        return rows

    def _at_once(self, attack: Attack) -> None:
        kind, vendor = attack.kind, attack.detail.get("vendor", "hubspot")
        if kind == "flush":
            with contextlib.suppress(redis.RedisError):
                self.ground.flush()
        elif kind == "redelivery":
            with contextlib.suppress(redis.RedisError):
                self.ground.deliver_again()
        elif kind == "broker restart":
            self.ground.restart_broker()
        elif kind == "database restart":
            self.ground.restart_database(gentle=bool(attack.detail["gentle"]))
        elif kind in ("broker cut", "vendor cut"):
            self._link(kind, vendor).set("cut")
        elif kind == "broker half-open":
            self.links["broker"].set("stall-old")
        elif kind in ("broker stall", "broker latency", "vendor stall", "vendor latency"):
            link = self._link(kind, vendor)
            link.set(kind.partition(" ")[2], LATENCY.get(kind, 0.0))
            self._later(attack.lasts, lambda: link.set("pass"))
        else:
            self._fault(attack, vendor)

    def _link(self, kind: str, vendor: str) -> Proxy:
        return self.links["broker" if kind.startswith("broker") else vendor]

    def _fault(self, attack: Attack, vendor: str) -> None:
        effect = {"vendor": vendor, "method": "POST", "path": EFFECTS[vendor], "count": attack.detail.get("count")}
        described: dict[str, dict[str, Any]] = {
            "vendor errors": {"vendor": vendor, "kind": "error", "lasts": attack.lasts},
            "vendor rate limit": {"vendor": vendor, "kind": "rate_limit", "retry_after": 1, "lasts": attack.lasts},
            "vendor outage": {"vendor": vendor, "kind": "outage", "lasts": attack.lasts},
            "malformed answer": {**effect, "kind": "malformed"},
            "effect without answer": {**effect, "kind": "timeout_after_effect", "seconds": 1.0},
            "late effect": {**effect, "kind": "late_effect", "hang": 0.5, "seconds": attack.lasts},
        }
        self.vendors.control("faults", described[attack.kind])

    def _heal(self) -> None:
        self.vendors.control("faults", method="DELETE")

    def _later(self, seconds: float, mend: Callable[[], None]) -> None:
        heapq.heappush(self._mends, (time.monotonic() + seconds, next(self._numbers), mend))

    def _note(self, attack: Attack, rows: int, on: str) -> None:
        self.blows.append(Blow(round(time.monotonic() - self._began, 2), attack.kind, rows, on))


def _sum(held: Mapping[str, int] | None) -> int:
    return sum((held or {}).values())


def _by_load(held: Mapping[str, int] | None) -> list[str]:
    return sorted(held or {}, key=lambda name: -(held or {})[name])
