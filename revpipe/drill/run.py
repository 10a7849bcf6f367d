"""One rehearsal from its first process to its last count."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from sqlalchemy.exc import SQLAlchemyError

from config.settings import load
from revpipe import approvals
from revpipe.actors import Actor
from revpipe.bootstrap import CONFIG, for_keeper
from revpipe.db import transaction
from revpipe.drill import fleet as fleets
from revpipe.drill import ground, ledger, reckoning, schedule, sender, traffic
from revpipe.drill.attacks import Attacker
from revpipe.drill.outcome import Outcome, Wish
from revpipe.drill.proxy import Proxy
from revpipe.errors import RevpipeError
from revpipe.local import far_side
from revpipe.local.sockets import free_port

log = structlog.get_logger(__name__)

TICK: Final = 0.05
LOOK_SECONDS: Final = 0.5
PERSON: Final = Actor("drill", "cli")


@dataclass(slots=True)
class _Stage:
    """All that takes part."""

    wish: Wish
    ground: ground.Ground
    fleet: fleets.Fleet
    vendors: far_side.FarSide
    attacker: Attacker
    sender: sender.Sender


def rehearse(wish: Wish, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """Run one rehearsal and count. Raises Misconfigured if something of it can't start.

    Everything is its own: servers, folder, ports, keys. What happens at real vendors, and to the user's own
    database and broker, is nothing at all: their addresses never reach these processes.
    """
    began = time.monotonic()
    with _set_up(wish, say) as cast:
        say(f"seed {wish.seed}: {wish.signals} signals, attacks for {wish.seconds:.0f} s")
        _play(cast)
        say("all is mended; waiting for the ledger to be quiet")
        still = _settle(cast)
        count = reckoning.reckon(_evidence(cast, still=still))
        return Outcome(
            wish.seed,
            count,
            tuple(cast.attacker.blows),
            time.monotonic() - began,
            f"revpipe drill --seed {wish.seed} --signals {wish.signals} --minutes {wish.seconds / 60:.4g}"
            f" --every {wish.every:g}",
            wish.keep,
        )


@contextmanager
def _set_up(wish: Wish, say: Callable[[str], None]) -> Iterator[_Stage]:
    with ExitStack() as stack:
        base = stack.enter_context(ground.prepared(wish.keep))
        vendors = far_side.simulated(scenario=None)
        at = urlsplit(vendors.url)
        far = (str(at.hostname), int(at.port or 0))
        links = {name: stack.enter_context(Proxy(far, wish.pace)) for name in ("hubspot", "slack")}
        links["broker"] = stack.enter_context(Proxy(base.valkey_socket))
        url = f"http://127.0.0.1:{free_port()}"
        say("starting web, workers, keepers, beat and simulated vendors …")
        fleet = stack.enter_context(fleets.sailing(_settings(wish, base, vendors, links, url), base.folder / "logs"))
        _launch(fleet, vendors, url, wish)
        fleets.await_all(fleet, base.engine, url, vendors.url)
        sends = stack.enter_context(sender.sending(vendors, url, dict(fleet.environment)))
        yield _Stage(wish, base, fleet, vendors, Attacker(base, fleet, vendors, links), sends)


def _settings(
    wish: Wish, base: ground.Ground, vendors: far_side.FarSide, links: dict[str, Proxy], url: str
) -> dict[str, str]:
    return {
        **vendors.environment,
        "HUBSPOT_BASE_URL": f"http://127.0.0.1:{links['hubspot'].port}/hubspot",
        "SLACK_BASE_URL": f"http://127.0.0.1:{links['slack'].port}/slack/api/",
        "DATABASE_URL": base.lease.database_url,
        "REDIS_URL": f"redis://127.0.0.1:{links['broker'].port}/0",
        "REVPIPE_DATA_DIR": str(base.folder),
        "PUBLIC_URL": url,
        "REVPIPE_LEASE_SECONDS": str(wish.lease),
        "REVPIPE_TIME_SCALE": str(wish.time_scale),
        **wish.extra,
    }


def _launch(fleet: fleets.Fleet, vendors: far_side.FarSide, url: str, wish: Wish) -> None:
    fleet.add("sandbox", "revpipe.lifeline", *vendors.command)
    fleet.add("web", "revpipe", "web", "--port", str(urlsplit(url).port), "--processes", "1")
    for number in range(1, wish.workers + 1):
        fleet.add(f"worker-urgent-{number}", "revpipe", "worker", "-c", "4", "immediate", "high")
        fleet.add(f"worker-bulk-{number}", "revpipe", "worker", "-c", "4", "all", "--", "-immediate", "-high")
    for number in range(1, wish.keepers + 1):
        fleet.add(f"keeper-{number}", "revpipe", "keeper")
    if wish.beat:
        fleet.add("beat", "revpipe", "beat")


def _play(cast: _Stage) -> None:
    """Let signals flow and attacks come until both are over, then mend everything."""
    wish = cast.wish
    rules = (CONFIG / "rules.yaml").read_text(encoding="utf-8")
    told = traffic.Traffic(wish.seed, wish.signals, wish.seconds, traffic.channels_named(rules))
    cast.vendors.control("seed", told.records)
    planned = schedule.make(wish.seed, wish.seconds, wish.every, wish.lease) if wish.attacks is None else wish.attacks
    steps, attacks = list(told.steps), sorted(planned, key=lambda one: one.at)
    began = time.monotonic()
    while steps or attacks:
        now = time.monotonic() - began
        while steps and steps[0].at <= now:
            cast.sender.give(steps.pop(0))
        if attacks and attacks[0].at <= now:
            cast.attacker.strike(attacks.pop(0))
        cast.attacker.mend()
        cast.fleet.tend()
        time.sleep(TICK)
    cast.sender.close()
    cast.attacker.mend(all_=True)


def _settle(cast: _Stage) -> bool:
    """Wait until everything has ended but what waits for a person; True if it stood still before that."""
    moved = deadline = time.monotonic()
    deadline += cast.wish.limit
    mark: Any = None
    while time.monotonic() < deadline:
        cast.fleet.tend()
        now = ledger.standing(cast.ground.engine)
        if now is not None:
            if now.asks:
                _answer(cast)
            elif not now.moving and not now.later and cast.sender.finished:
                return False
            if now.mark != mark or now.later or not cast.sender.finished:
                mark, moved = now.mark, time.monotonic()
            elif time.monotonic() - moved > cast.wish.patience:
                return True
        time.sleep(LOOK_SECONDS)
    return False


def _answer(cast: _Stage) -> None:
    """Be the person who is asked: yes and no by turns, and each answer given twice."""
    settings = load({name: value for name, value in cast.fleet.environment.items() if value})
    services = for_keeper(settings)
    try:
        with transaction(services.engine) as tx:
            asked = ledger.awaiting(tx)
        for number, action_id in enumerate(asked):
            for _ in range(2):
                # The second answer is refused, and must be.
                with suppress(RevpipeError):
                    if number % 3 < 2:
                        approvals.approve(services, action_id, PERSON)
                    else:
                        approvals.reject(services, action_id, PERSON)
    except SQLAlchemyError as error:
        log.warning("not_answered", error=type(error).__name__)
    finally:
        services.engine.dispose()


def _evidence(cast: _Stage, *, still: bool) -> reckoning.Evidence:
    with transaction(cast.ground.engine) as tx:
        signals, actions, requests = ledger.signals(tx), ledger.actions(tx), ledger.requests(tx)
    effects = cast.vendors.control("effects")["effects"]
    sent, taken = frozenset(cast.sender.sent), frozenset(cast.sender.taken)
    return reckoning.Evidence(sent, taken, signals, actions, effects, still, requests)
