"""A corpus made: what happens in the portal as signals, with the contexts that enrichment would have stored."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from revpipe import contexts, schemas
from revpipe.context_needs import ContextNeeds
from revpipe.corpus import happenings, mix
from revpipe.corpus import world as worlds
from revpipe.corpus.happening import Happening
from revpipe.ports import Accepted, Delivery, InboundRequest, Part, Source
from revpipe.signals import Signal, stable_id

DAYS: Final = 14
START: Final = datetime(2026, 5, 4, tzinfo=UTC)
"""A Monday. Always the same, so that a seed makes the same corpus whenever it is made."""
BURSTS: Final = (timedelta(days=1, hours=9), timedelta(days=4, hours=14), timedelta(days=9, hours=10, minutes=20))
FILES: Final = (timedelta(hours=6), timedelta(days=7, hours=6))
_DECIDED: Final = timedelta(milliseconds=150)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which corpus: the same seed and number give the same, to the byte."""

    seed: int
    signals: int


def lines(wish: Wish, sources: Mapping[str, Source], needs: ContextNeeds) -> Iterator[dict[str, Any]]:
    """The signals of a corpus in the order of their decisions, each as `reading` expects it.

    Each comes out of its source's own reading of a webhook, so that it is what such a webhook makes.
    """
    world = worlds.make(wish.seed, START, max(12, wish.signals // 14))
    for number, (at, kind) in enumerate(_moments(wish, world)):
        happening = happenings.happen(world, kind, at, number)
        signal = _signal(wish, happening, at, number, sources)
        parts = _parts(signal, happening, needs, signal.received_at)
        yield {
            "at": (signal.received_at + _DECIDED).isoformat(),
            "subject": contexts.subject(signal, parts),
            "signal": schemas.dump_signal(signal),
            "context_version": contexts.SCHEMA_VERSION,
            "parts": contexts.dump(parts),
        }


def _moments(wish: Wish, world: worlds.World) -> list[tuple[datetime, str]]:
    """When what happens: the shares of the mix to the signal, people at daytime, imports and files in bursts."""
    chance = world.chance
    kinds = [kind.name for kind in mix.KINDS for _ in range(round(wish.signals * kind.share / 1000))]
    kinds = (kinds + [mix.KINDS[0].name] * wish.signals)[: wish.signals]
    found = []
    for kind in kinds:
        if kind == "import":
            at = START + chance.choice(BURSTS) + timedelta(seconds=chance.uniform(0, 90))
        elif kind == "surge":
            at = START + chance.choice(FILES) + timedelta(seconds=chance.uniform(0, 30))
        else:
            day = chance.choices(range(DAYS), ([6, 6, 6, 6, 5, 1, 1] * 2)[:DAYS])[0]
            at = START + timedelta(days=day, hours=min(max(chance.gauss(13, 3), 0), 23.9))
        found.append((at, kind))
    return sorted(found)


def _signal(wish: Wish, found: Happening, at: datetime, number: int, sources: Mapping[str, Source]) -> Signal:
    body = found.body if isinstance(found.body, str) else json.dumps(_enveloped(found))
    received = at + timedelta(seconds=1.2)
    request = InboundRequest("POST", found.target, {}, body.encode(), received)
    ids = [stable_id("corpus", what, wish.seed, wish.signals, number) for what in ("delivery", "correlation")]
    (result,) = sources[found.source].normalise(Delivery(ids[0], ids[1], found.source, request))
    if not isinstance(result, Accepted) or result.suppressed:
        raise RuntimeError(f"the corpus made an event that its own source does not take: {result}")
    return result.signal


def _enveloped(found: Happening) -> Any:
    return [found.body] if found.source == "hubspot" else found.body


def _parts(signal: Signal, found: Happening, needs: ContextNeeds, at: datetime) -> dict[str, Part]:
    """The parts that config/sources.yaml wants for such a signal, as far as there is anything to hang them on."""
    values: dict[str, Mapping[str, Any] | None] = {
        "deal": found.deal.part() if found.deal else None,
        "account": found.account.part() if found.account else None,
        "contact": found.contact.part() if found.contact else None,
        "change": found.change,
        "calls": _calls(found),
    }
    return {name: _part(name, values.get(name), at) for name in sorted(needs.of(signal).wanted)}


def _part(name: str, value: Mapping[str, Any] | None, at: datetime) -> Part:
    provider = "ledger" if name == "calls" else "hubspot"
    return Part(name, provider, at, value, missing=None if value else "no_association")


def _calls(found: Happening) -> dict[str, Any]:
    rivals = dict.fromkeys(rival for call in found.calls for rival in call["competitors"])
    last = found.calls[0]["started_at"] if found.calls else None
    return {"recent": list(found.calls), "competitors": list(rivals), "last_at": last}
