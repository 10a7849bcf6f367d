"""What the business decides about language models: config/llm.yaml, checked at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from revpipe.durations import duration
from revpipe.errors import Misconfigured
from revpipe.llm.orders import BUILDABLE
from revpipe.marked_yaml import Document, parse
from revpipe.rules.fields import EVENTS
from revpipe.rules.name_checks import guess

PROVIDERS: Final = ("anthropic", "openai")
LONGEST_ANSWER: Final = timedelta(seconds=20)
"""As long as a circuit gives a probe, and shorter than a lease."""
_KEYS: Final = (
    *("prompt", "events", "least_amount", "actions", "without_approval", "most_actions", "cooldown", "answer_within"),
    *("wait_at_most", "at_once", "max_tokens", "budget", "models", "prices"),
)
_PRICE_KEYS: Final = ("input", "cached", "output", "as_of", "source")
MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, and when and where that was read."""

    input: float
    cached: float
    output: float
    as_of: str
    source: str

    def of(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
        """What a call cost; `input_tokens` include the cached ones."""
        fresh = max(0, input_tokens - cached_tokens)
        return (fresh * self.input + cached_tokens * self.cached + output_tokens * self.output) / MILLION


@dataclass(frozen=True, slots=True)
class Budget:
    """For a day in UTC."""

    tokens: int
    usd: float


@dataclass(frozen=True, slots=True)
class LlmPolicy:
    """The file's content, checked."""

    prompt: str
    events: tuple[str, ...]
    least_amount: float
    actions: tuple[str, ...]
    without_approval: frozenset[str]
    most_actions: int
    cooldown: timedelta
    answer_within: timedelta
    wait_at_most: timedelta
    at_once: int
    max_tokens: int
    budget: Budget
    models: Mapping[str, str]
    prices: Mapping[str, Price]

    def admits(self, event: str, amount: Any) -> bool:
        """Whether a model may be asked about this event of a deal of this amount."""
        worth = amount if isinstance(amount, int | float) and not isinstance(amount, bool) else 0
        return worth >= self.least_amount and any(fnmatchcase(event, glob) for glob in self.events)


def load(text: str, name: str = "llm.yaml") -> LlmPolicy:
    """The policy in `text`. Raises Misconfigured with one line for each fault: `llm.yaml:LINE: …`."""
    document = parse(text, name)
    top = document.value
    if not isinstance(top, dict) or not isinstance(top.get("llm"), dict):
        document.fault((), "the file must have the key `llm`: a mapping")
        document.raise_faults()
        raise Misconfigured(f"{name}: unreadable")
    document.unknown_keys((), top, ("llm",))
    document.unknown_keys(("llm",), top["llm"], _KEYS)
    reader = _Reader(document, top["llm"])
    made = reader.policy()
    document.raise_faults()
    return made


class _Reader:
    """Reads key by key and notes faults instead of stopping at the first."""

    def __init__(self, document: Document, item: Mapping[str, Any]) -> None:
        self.document = document
        self.item = item

    def policy(self) -> LlmPolicy:
        actions = self.words("actions", BUILDABLE)
        return LlmPolicy(
            prompt=self.word("prompt"),
            events=self.events(),
            least_amount=self.number("least_amount", 0, 1e12),
            actions=actions,
            without_approval=frozenset(self.words("without_approval", actions)),
            most_actions=int(self.number("most_actions", 1, 10)),
            cooldown=self.time("cooldown", timedelta(days=90)),
            answer_within=self.time("answer_within", LONGEST_ANSWER),
            wait_at_most=self.time("wait_at_most", timedelta(minutes=12)),
            at_once=int(self.number("at_once", 1, 64)),
            max_tokens=int(self.number("max_tokens", 100, 8000)),
            budget=Budget(
                int(self.number("tokens", 0, 10**12, self.part("budget"))),
                self.number("usd", 0, 10**6, self.part("budget")),
            ),
            models={key: str(value) for key, value in self.part("models")[1].items() if self.provider(key)},
            prices=self.prices(),
        )

    def provider(self, name: str) -> bool:
        if name not in PROVIDERS:
            self.fault(("models", name), f"no provider is called {name!r}; there are {', '.join(PROVIDERS)}")
        return name in PROVIDERS

    def prices(self) -> dict[str, Price]:
        found = {}
        for model, entry in self.part("prices")[1].items():
            path = ("prices", model)
            if not isinstance(entry, dict) or not (entry.get("as_of") and entry.get("source")):
                self.fault(path, f"{model}: needs {', '.join(_PRICE_KEYS)}: a price without day and source is a guess")
                continue
            self.document.unknown_keys(("llm", *path), entry, _PRICE_KEYS)
            rates = {key: self.number(key, 0, 10_000, (path, entry)) for key in ("input", "cached", "output")}
            found[model] = Price(**rates, as_of=str(entry["as_of"]), source=str(entry["source"]))
        return found

    def events(self) -> tuple[str, ...]:
        found = self.words("events", ())
        for at, glob in enumerate(found):
            if not any(fnmatchcase(event, glob) for event in EVENTS):
                self.fault(("events", at), f"no event is called {glob!r}{guess(glob, EVENTS)}; docs/rules.md has them")
        return found

    def part(self, key: str) -> tuple[tuple[str, ...], Mapping[str, Any]]:
        value = self.item.get(key)
        if not isinstance(value, dict):
            self.fault((key,), f"`{key}` must be a mapping")
            return (key,), {}
        return (key,), value

    def word(self, key: str) -> str:
        value = self.item.get(key)
        if not isinstance(value, str) or not value:
            self.fault((key,), f"`{key}` must be a word")
        return str(value)

    def words(self, key: str, known: tuple[str, ...]) -> tuple[str, ...]:
        value = self.item.get(key)
        if not isinstance(value, list):
            self.fault((key,), f"`{key}` must be a list")
            return ()
        for at, one in enumerate(value):
            if known and one not in known:
                self.fault((key, at), f"{key}: {one!r} can't stand here; there are {', '.join(known)}")
        return tuple(str(one) for one in value)

    def number(
        self, key: str, least: float, most: float, part: tuple[tuple[str, ...], Mapping[str, Any]] | None = None
    ) -> float:
        path, where = part or ((), self.item)
        value = where.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.fault((*path, key), f"`{key}` must be a number from {least:g} to {most:g}")
            return least
        return value

    def time(self, key: str, most: timedelta) -> timedelta:
        try:
            lasts = duration(self.item.get(key), key)
        except Misconfigured as error:
            self.fault((key,), str(error))
            return most
        if not timedelta(0) < lasts <= most:
            self.fault((key,), f"`{key}` must be more than nothing and at most {most.total_seconds():g} seconds")
        return lasts

    def fault(self, path: tuple[str | int, ...], text: str) -> None:
        self.document.fault(("llm", *path), text)
