"""Claude, over Anthropic's Messages API: the answer is the input of the one tool that it must call."""

import json
from typing import Final, Protocol

from anthropic import Anthropic, AnthropicError, DefaultHttpxClient
from anthropic.types import Message

from adapters.model_calls import gated
from revpipe.language_model import Completion, Prompt
from revpipe.ports import Gate

TOOL: Final = "record_decision"
ENDINGS: Final = {
    "end_turn": "complete",
    "tool_use": "complete",
    "stop_sequence": "complete",
    "max_tokens": "truncated",
    "model_context_window_exceeded": "truncated",
    "refusal": "refused",
}
"""`stop_reason` (SDK, types/stop_reason.py) and what it means; any other is read as complete and judged by its text."""


class AnthropicSettings(Protocol):
    """What this adapter needs to know of a deployment."""

    @property
    def anthropic_api_key(self) -> str | None: ...
    @property
    def anthropic_base_url(self) -> str: ...


class AnthropicModel:
    """A forced tool is used and not `output_config`, since every model with tools knows it."""

    name = "anthropic"

    def __init__(self, client: Anthropic, model: str, gate: Gate) -> None:
        self.model = model
        self._client = client
        self._gate = gate

    def ask(self, prompt: Prompt) -> Completion:
        """Ask once. Raises our errors only."""
        return _read(gated(self.name, self._gate, lambda: self._create(prompt), AnthropicError))

    def _create(self, prompt: Prompt) -> Message:
        return self._client.messages.create(
            model=self.model,
            max_tokens=prompt.max_tokens,
            system=prompt.system,
            messages=[{"role": "user", "content": prompt.user}],
            tools=[
                {
                    "name": TOOL,
                    "description": "Records the decision on this signal.",
                    "input_schema": dict(prompt.schema),
                }
            ],
            tool_choice={"type": "tool", "name": TOOL, "disable_parallel_tool_use": True},
        )


def build_model(settings: AnthropicSettings, gate: Gate, model: str, seconds: float) -> AnthropicModel:
    """The model of this deployment; `seconds` is how long an answer may take. Opens nothing."""
    client = Anthropic(
        api_key=settings.anthropic_api_key or "",
        base_url=settings.anthropic_base_url,
        timeout=seconds,
        max_retries=0,
        http_client=DefaultHttpxClient(trust_env=False, timeout=seconds, base_url=settings.anthropic_base_url),
    )
    return AnthropicModel(client, model, gate)


def _read(message: Message) -> Completion:
    """The SDK trusts what it is sent, so nothing that may be missing is taken for granted here."""
    usage = message.usage
    cached = (usage and usage.cache_read_input_tokens) or 0
    # Anthropic's `input_tokens` leaves out what was written to and read from the cache.
    read = ((usage and usage.input_tokens) or 0) + ((usage and usage.cache_creation_input_tokens) or 0) + cached
    return Completion(
        text=_text(message),
        ending=ENDINGS.get(str(message.stop_reason), "complete"),
        model=str(message.model or ""),
        request_id=message._request_id,
        input_tokens=read,
        cached_tokens=cached,
        output_tokens=(usage and usage.output_tokens) or 0,
    )


def _text(message: Message) -> str:
    """The tool's input as JSON text, else whatever the model wrote instead."""
    blocks = message.content or []
    for block in blocks:
        if block.type == "tool_use" and block.name == TOOL:
            return json.dumps(block.input)
    return "".join(block.text for block in blocks if block.type == "text")
