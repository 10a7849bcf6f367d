"""A corpus as a past to simulate: signals and contexts from a file, no ledger needed."""

import json
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from revpipe import contexts, schemas
from revpipe.cases import Case
from revpipe.errors import BadPayload
from revpipe.signals import Signal
from revpipe.simulating.past import Batch, Past, Share

SIGNALS: Final = "signals.jsonl"
KEYS: Final = frozenset(("at", "subject", "signal", "context_version", "parts"))
BATCH: Final = 500
_WEEK: Final = timedelta(days=7)


@dataclass(slots=True)
class _Counts:
    """How many signals each deal had in the last seven days."""

    fired: dict[str, deque[datetime]] = field(default_factory=dict)

    def note(self, deal: str | None, fired_at: datetime, at: datetime) -> int:
        """Count one more, and say how many there are."""
        if deal is None:
            return 0
        mine = self.fired.setdefault(deal, deque())
        mine.append(fired_at)
        while mine and mine[0] <= at - _WEEK:
            mine.popleft()
        return len(mine)


@dataclass(frozen=True, slots=True)
class CorpusPast:
    """The signals of a folder that `revpipe corpus` made, in the order of their decisions."""

    folder: Path

    def extent(self) -> tuple[datetime, datetime, int]:
        """When the first and the last signal were decided, and how many there are. Raises BadPayload."""
        times = [datetime.fromisoformat(line["at"]) for line in self._lines()]
        if not times:
            raise BadPayload("no_corpus", f"{self.folder / SIGNALS} holds no signal; make it with: revpipe corpus")
        return times[0], times[-1], len(times)

    def batches(self, share: Share) -> Iterator[Batch]:
        """The signals of a share, in the order in which they were decided."""
        pasts, counts = [], _Counts()
        for line in self._lines():
            if zlib.crc32(line["subject"].encode()) % share.of != share.number:
                continue
            pasts.append(_past(line, counts))
            if len(pasts) == BATCH:
                yield Batch(pasts)
                pasts = []
        if pasts:
            yield Batch(pasts)

    def _lines(self) -> Iterator[dict[str, Any]]:
        path = self.folder / SIGNALS
        if not path.is_file():
            raise BadPayload("no_corpus", f"there is no {path}; make it with: revpipe corpus --out {self.folder}")
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    found = json.loads(line)
                except ValueError as error:
                    raise BadPayload(
                        "no_corpus", f"{path}:{number}: not a line of JSON; make the corpus anew"
                    ) from error
                if not isinstance(found, dict) or not found.keys() >= KEYS:
                    raise BadPayload("no_corpus", f"{path}:{number}: not a signal of a corpus; make the corpus anew")
                yield found


def _past(line: dict[str, Any], counts: _Counts) -> Past:
    signal: Signal = schemas.load_signal(line["signal"])
    parts = contexts.load(line["parts"], line["context_version"])
    at = datetime.fromisoformat(line["at"])
    row = {"signal_id": signal.signal_id, "priority": signal.urgency, "replays": 0}
    case = Case(row, signal, parts, line["subject"])
    deal = line["subject"].removeprefix("deal:") if line["subject"].startswith("deal:") else None
    return Past(case, at, counts.note(deal, signal.fired_at, at))
