"""What the second pass made of a signal, in words."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from revpipe.story.words import clip, span

WHY: Final = {
    "llm_off": "no language model is configured any more",
    "waited_too_long": "it had waited too long for its turn",
    "budget_spent": "today's budget for language models is spent",
    "malformed": "its answer was no JSON, twice",
    "wrong_schema": "its answer did not fit the schema, twice",
    "refused": "it refused to answer",
    "truncated": "its answer was cut off at the limit of tokens",
    "timed_out": "it took too long",
    "transient": "it failed",
    "rate_limited": "its provider takes no more questions for now",
    "circuit_open": "its provider is not called for now, for it failed too often or refused the key",
    "credentials_refused": "its provider refuses the key or the model",
    "permanent": "its provider refused the question",
    "too_many_actions": "it wanted more than policy allows",
    "unknown_action": "it wanted an action that policy does not allow",
    "invented_id": "it named a record that it was not asked about",
    "foreign_recipient": "it named a recipient that is not the contact",
    "leaked_instructions": "it told its instructions",
}
"""Why the fallback decided, by the verdict's code."""


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Who decided, and the reason that the model gave or why the fallback did."""
    model = str(told.get("model") or "the language model")
    code = str(told.get("outcome"))
    if told.get("by") == "llm":
        yield f"{model} decided{_cost(told)}: {clip(str(told.get('reason') or 'no reason given'), 300)}"
        return
    where = f" ({told['where']})" if told.get("where") else ""
    yield f"the fallback decided, not {model}: {WHY.get(code, code.replace('_', ' '))}{where}{_cost(told)}"


def _cost(told: Mapping[str, Any]) -> str:
    if told.get("latency_ms") is None:
        return ""
    tokens = (told.get("input_tokens") or 0) + (told.get("output_tokens") or 0)
    again = ", an answer from before" if told.get("reused") else f" in {span(told['latency_ms'] / 1000)}"
    return f"{again}, {tokens} tokens, ${told.get('cost_usd') or 0:.4f}"
