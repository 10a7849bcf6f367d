"""A signal's story as lines for people: what came, what was known, who decided why, what was done and when."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from revpipe.story import actions as story_actions
from revpipe.story import approval_words, second_pass
from revpipe.story import shadows as story_shadows
from revpipe.story.words import (
    WIDTH,
    as_it_was,
    change,
    clip,
    clock,
    ending,
    known,
    origin,
    resumed,
    span,
    subject,
    value,
    vendor,
)

MARGIN: Final = " " * 14
NOT_FIRED: Final = 6
"""How many rules that listened and did not fire are told of when nothing was due."""
CARRIED: Final = 30
"""How many of the signals that were coalesced into this one are named."""
TOLD: Final = {
    *("parts", "actions", "rules_version", "fired", "by", "disposition", "delivery_id", "source", "event", "stage"),
    *(
        "cause",
        "lag_s",
        "urgency",
        "waited_ms",
        "took_ms",
        "attempt",
        "worker",
        "queue",
        "wait_s",
        "where",
        "error",
        "reason",
    ),
    *("llm", "model", "reused", "into", "carries"),
    *("type", "adapter", "rule", "external_id", "after_s", "expires_h", "waits_for", "waited_s", "probe"),
    *("way", "of", "to", "risk", "version", "fields", "agreed", "needed", "was", "is"),
}
"""Details that have words of their own; a detail of any other name is shown as it is."""


def lines(story: Mapping[str, Any], *, all_rules: bool = False) -> list[str]:
    """The story, top down in time; no line is longer than WIDTH. `all_rules` tells of every rule that was asked."""
    tree = _tree(story, all_rules=all_rules)
    return [line if len(line) <= WIDTH else line[: WIDTH - 1] + "…" for line in tree]


def _tree(story: Mapping[str, Any], *, all_rules: bool) -> Iterator[str]:
    yield from _header(story)
    start = story["signal"]["received_at"]
    for what, rows in groupby(approval_words.joined(story["trail"]), key=_folded):
        row, *others = rows
        row = {**row, "all": [row, *others]}
        offset = "+" + span(max(0.0, (row["at"] - start).total_seconds()))
        yield f"  {offset:>10}  {what[0].replace('_', ' '):<10} {' · '.join(_facts(story, row))}".rstrip()
        if what[0] == "enriched":
            yield MARGIN + _parts(story, row)
        if what[0] == "decided":
            yield from _decision(story, row, all_rules=all_rules)
            yield from story_shadows.lines(story, MARGIN)
    if story["actions"]:
        yield "  actions"
    for line in story_actions.lines(story):
        yield f"    {line}"
    for letter in story["dead_letters"]:
        yield (
            f"  dead letter {letter['letter_id']} of stage {letter['stage']} after {letter['attempts']} attempts,"
            f" {clock(letter['last_at'])}"
            + (f", {state} since" if (state := letter.get("state", "open")) != "open" else "")
        )
        yield f"    {letter['reason']}: {clip(letter['error'], 110)}"


def _header(story: Mapping[str, Any]) -> Iterator[str]:
    signal = story["signal"]
    times = [f"fired {clock(signal['fired_at'])}", f"received {_after(signal, 'received_at')} later"]
    if signal["done_at"]:
        times.append(f"ended {_after(signal, 'done_at')} after firing")
    yield f"{signal['event']} · {subject(story)} · {ending(story)}"
    yield f"  signal {signal['signal_id']} · correlation {signal['correlation_id']}"
    yield f"  from   {origin(signal)} in delivery {signal['delivery_id']} · priority {signal['priority']}"
    yield f"  what   {change(signal)}"
    yield f"  when   {' · '.join(times)}; offsets count from receipt"
    yield from _company(story)
    if known(story):
        yield f"  known  {known(story)}"


def _company(story: Mapping[str, Any]) -> Iterator[str]:
    """Who carries this signal and how that one ended, or whom it carries."""
    for one in story.get("survivor", ()):
        ended = str(one["disposition"] or "under way").replace("_", " ")
        yield f"  with   signal {one['signal_id']}, which was decided for both: {ended}"
    carried = [str(one["signal_id"]) for one in story.get("carried", ())]
    for at in range(0, min(len(carried), CARRIED), 3):
        yield f"  {'' if at else 'carries':<7}{', '.join(carried[at : at + 3])}"
    if len(carried) > CARRIED:
        yield f"         and {len(carried) - CARRIED} more; --json names them all"


def _after(signal: Mapping[str, Any], name: str) -> str:
    return span(max(0.0, (signal[name] - signal["fired_at"]).total_seconds()))


def _folded(row: Mapping[str, Any]) -> tuple[str, Any]:
    """Actions planned together share a line; any other row has its own."""
    return row["what"], row["at"] if row["what"] == "planned" else row["trail_id"]


def _facts(story: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[str]:
    detail, what = row["detail"], row["what"]
    if what == "planned":
        yield ", ".join(story_actions.label(story, one["action_id"]) for one in row["all"])
        return
    if row["action_id"]:
        yield story_actions.label(story, row["action_id"])
    yield from _trouble(detail)
    yield from _own(story, row)
    yield from _timing(detail)
    for name in sorted(set(detail) - TOLD):
        yield f"{name} {value(detail[name])}"


def _timing(detail: Mapping[str, Any]) -> Iterator[str]:
    spent = [
        f"{word} {span(detail[name] / 1000)}"
        for word, name in (("waited", "waited_ms"), ("took", "took_ms"))
        if detail.get(name) is not None
    ]
    if spent:
        yield ", ".join(spent)
    if (detail.get("attempt") or 0) > 1:
        yield f"attempt {detail['attempt']}"
    if detail.get("worker"):
        yield f"by {detail['worker']}"


def _trouble(detail: Mapping[str, Any]) -> Iterator[str]:
    words = [str(detail[name]).replace("_", " ") for name in ("where", "cause", "reason", "error") if detail.get(name)]
    if words:
        yield ", ".join(dict.fromkeys(words)) + (f" in {detail['queue']}" if detail.get("queue") else "")
    if detail.get("wait_s") is not None:
        waits = f"waits for {vendor(detail['waits_for'])}, tried" if detail.get("waits_for") else "again"
        yield f"{waits} in {span(detail['wait_s'])}" + (" at the latest" if detail.get("waits_for") else "")


def _own(story: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[str]:
    """What only one kind of row tells."""
    detail, what = row["detail"], row["what"]
    urgency = detail.get("urgency")
    if urgency:
        yield "urgency " + (" → ".join(urgency) if isinstance(urgency, list) else str(urgency))
    if what == "expired" and detail.get("by") == "rule":
        yield f"its rule wanted it no longer, {span(detail.get('after_s', 0))} after it was planned"
    elif what in ("approved", "rejected", "expired"):
        words = {one["action_id"]: one for one in story["approvals"]}
        yield story_actions.said(words.get(row["action_id"])) or f"by {detail.get('by', 'nobody known')}"
    elif what in approval_words.WHAT:
        yield from approval_words.facts(what, detail)
    elif what == "suppressed" and detail.get("by"):
        yield f"action {detail['by']} wins"
    elif what == "decided" and (plan := as_it_was(story, "plan", row["at"])):
        yield f"by {plan['decided_by']}, version {plan['rules_version']}"
    elif what == "coalesced":
        yield f"signal {detail.get('into')} carries it"
    elif what == "settled":
        yield str(detail.get("disposition")).replace("_", " ")
    elif what == "duplicate":
        yield f"came again in delivery {detail.get('delivery_id')}"
    elif what == "resumed":
        yield resumed(detail)
    elif what == "done" and detail.get("external_id"):
        yield f"vendor's id {detail['external_id']}"


def _parts(story: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Which part of the context came from whom; a missing one tells why."""
    context = as_it_was(story, "context", row["at"])
    stored = context["parts"] if context else {}
    parts: Mapping[str, str] = row["detail"].get("parts") or {}
    groups: dict[str, list[str]] = {}
    for name, source in sorted(parts.items()):
        missing = (stored.get(name) or {}).get("missing")
        groups.setdefault(f"missing ({missing})" if missing else f"from {source}", []).append(name)
    return "; ".join(f"{', '.join(names)} {where}" for where, names in groups.items())


def _decision(story: Mapping[str, Any], row: Mapping[str, Any], *, all_rules: bool) -> Iterator[str]:
    plan = as_it_was(story, "plan", row["at"])
    if plan is None:
        return
    told = plan["why"].get("rules", [])
    fired = [one for one in told if one.get("fired")]
    if not fired:
        yield f"{MARGIN}no rule fired"
    shown: set[str] = set()
    for rule in fired:
        terms = [_term(term) for term in rule.get("terms", [])]
        again = sum(term in shown for term in terms)
        left_out = "terms left out" if rule.get("shortened") else f"{again} of its terms are above" if again else ""
        yield f"{MARGIN}rule {rule['rule']}" + (f" ({left_out})" if left_out else "")
        yield from (f"{MARGIN}  {term}" for term in terms if term not in shown)
        shown.update(terms)
    if plan["why"].get("llm"):
        yield from (MARGIN + line for line in second_pass.lines(plan["why"]["llm"]))
    near = [one for one in told if one.get("listened") and not one.get("fired")]
    if all_rules or not story["actions"]:
        yield from _near(near, len(near) if all_rules else NOT_FIRED)


def _near(rules: list[Mapping[str, Any]], most: int) -> Iterator[str]:
    """Rules that listened and did not fire, each with the term that kept it from firing."""
    for rule in rules[:most]:
        terms: Iterable[Mapping[str, Any]] = rule.get("terms", [])
        kept = next((term for term in terms if not term.get("held")), None)
        unsure = " (not known)" if kept and kept.get("held") is None else ""
        yield f"{MARGIN}not {rule['rule']}{unsure}" + (f": {_term(kept)}" if kept else "")
    if len(rules) > most:
        yield f"{MARGIN}and {len(rules) - most} more that did not fire; --rules tells of all"


def _term(term: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name} = {value(given, 40)}" for name, given in term.get("values", {}).items())
    values = f"   [{clip(values, 60)}]" if values else ""
    return clip(term["expression"], WIDTH - len(MARGIN) - 2 - len(values)) + values
