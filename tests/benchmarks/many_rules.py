"""How long as many rules as a file may hold take for one signal: `python -m tests.benchmarks.many_rules`.

The book is made of the shipped rules, over and over with other thresholds, up to the most that are allowed; the signals
are the demonstration corpus with its contexts. Timed is what the stage does for one signal between reading it and
writing its plan: its facts, every rule that listens, and the params of what they want.
"""

import itertools
import json
import re
import sys
import time
from statistics import median, quantiles
from typing import Any

import yaml
from rich.console import Console

from config.settings import Settings
from revpipe import bootstrap, contexts, schemas
from revpipe.corpus.making import Wish, lines
from revpipe.rules import vocabulary
from revpipe.rules.book import RuleBook
from revpipe.rules.file import MAX_RULES

Json = dict[str, Any]
_THRESHOLD = re.compile(r"([<>]=? )(\d+)")
_HISTORY = {"open_actions": [], "actions_30d": 0, "signals_7d": 3}


def book(count: int = MAX_RULES) -> RuleBook:
    """The shipped rules and variations of them, `count` in all."""
    shipped = yaml.safe_load((bootstrap.CONFIG / "rules.yaml").read_text("utf-8"))
    rules: list[Json] = []
    for turn, rule in itertools.product(range(count), shipped["rules"]):
        if len(rules) == count:
            break
        when = "true" if rule["when"] is True else str(rule["when"])
        varied = _raised(when, turn)
        # Plain YAML 1.1 takes the key `on` for the word yes. With another threshold a rule's tests no longer hold.
        others = {name: value for name, value in rule.items() if name not in (True, "tests")}
        rules.append({**others, "on": rule[True], "id": f"{rule['id'][:56]}-{turn}", "when": varied})
    text = json.dumps({"urgency": shipped["urgency"], "rules": rules}, indent=1)  # JSON is YAML
    return bootstrap.read_rules(Settings(), text, "many rules")


def _raised(condition: str, by: int) -> str:
    return _THRESHOLD.sub(lambda found: f"{found[1]}{int(found[2]) + by}", condition)


def measure(signals: int = 2_000) -> Json:
    """Milliseconds for each signal: median and 99th percentile over all, and the median of the slowest event."""
    many = book()
    told = list(lines(Wish(7, signals), bootstrap.load_sources(Settings()), bootstrap.load_needs()))
    took: dict[str, list[float]] = {}
    for line in told:
        signal = schemas.load_signal(line["signal"])
        parts = contexts.load(line["parts"], line["context_version"])
        began = time.perf_counter()
        many.evaluate(vocabulary.facts(signal, parts, _HISTORY, signal.received_at))
        took.setdefault(signal.event, []).append(1000 * (time.perf_counter() - began))
    every = [one for each in took.values() for one in each]
    event = max(took, key=lambda name: median(took[name]))
    return {
        "rules": len(many.rules),
        "signals": len(every),
        "p50_ms": median(every),
        "p99_ms": quantiles(every, n=100)[98],
        "slowest": {"event": event, "p50_ms": median(took[event])},
    }


if __name__ == "__main__":
    Console().print_json(data=measure())
    sys.exit()
