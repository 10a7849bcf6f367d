"""A corpus as a folder: its signals, one a line, and a page that says what they are."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from revpipe.corpus import mix
from revpipe.corpus.making import DAYS, START, Wish
from revpipe.corpus.reading import SIGNALS

_ABOUT: Final = """\
# A demonstration corpus

{signals} signals of {days} days from {start}, made by `revpipe corpus --seed {seed} --signals {signals}`: the same
command makes the same bytes. Nobody and nothing in it is real. Each signal was read by its source out of a webhook in
the vendor's own shape, and stands in `signals.jsonl` with the context that enrichment would have stored, ready for
`revpipe rules simulate|share|diff --corpus FOLDER`.

## The mix

A typical HubSpot portal of a mid-sized team: mostly property changes, a third of them by imports and enrichment,
few stage moves, some calls, a weekly intent file. The shares are a considered guess, not a measurement; they stand in
`revpipe/corpus/mix.py`.

| of 1,000 | what | why so many |
| ---: | --- | --- |
{kinds}

Website visits are missing until there is a source for them, and so is what revpipe's own writes cause: no rule ever
sees those, so they would only flatter the share that rules decide.

## Deals

Amounts are log-normal with a median of about 16,000 EUR (one deal in twenty is above 70,000, one in sixteen has none);
the close date is 1 to 110 days ahead, or past for one open deal in eight; four in ten were pushed at least once.
Somebody was in touch four days ago on average, for one deal in five not for 11 to 45 days. A third has an open task,
under half a next step. One change in thirty had been overtaken when the CRM was asked.

## Events

| signals | event |
| ---: | --- |
{events}
"""


def write(folder: Path, wish: Wish, lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Write the corpus into a folder, which is made if need be; returns how many signals each event has."""
    folder.mkdir(parents=True, exist_ok=True)
    events: Counter[str] = Counter()
    with (folder / SIGNALS).open("w", encoding="utf-8") as file:
        for line in lines:
            events[line["signal"]["event"]] += 1
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    about = _ABOUT.format(
        signals=wish.signals,
        seed=wish.seed,
        days=DAYS,
        start=f"{START:%Y-%m-%d}",
        kinds="\n".join(f"| {kind.share} | {kind.what} | {kind.why} |" for kind in mix.KINDS),
        events="\n".join(f"| {count} | {event} |" for event, count in events.most_common()),
    )
    (folder / "README.md").write_text(about, encoding="utf-8")
    return events
