"""OpenAI's models and any server that speaks its Chat Completions, which more of them do than its Responses."""

from typing import Final, Protocol

from openai import DefaultHttpxClient, OpenAI, OpenAIError
from openai.types.chat import ChatCompletion

from adapters.model_calls import gated
from revpipe.language_model import Completion, Prompt
from revpipe.ports import Gate

NAME: Final = "decision"
ENDINGS: Final = {"stop": "complete", "length": "truncated", "content_filter": "refused"}


class OpenAISettings(Protocol):
    """What this adapter needs to know of a deployment."""

    @property
    def openai_api_key(self) -> str | None: ...
    @property
    def openai_base_url(self) -> str: ...


class OpenAIModel:
    """Asks for JSON of a strict schema. Nothing else is asked for, so that servers of other makes take it too."""

    name = "openai"

    def __init__(self, client: OpenAI, model: str, gate: Gate) -> None:
        self.model = model
        self._client = client
        self._gate = gate

    def ask(self, prompt: Prompt) -> Completion:
        """Ask once. Raises our errors only."""
        return _read(gated(self.name, self._gate, lambda: self._create(prompt), OpenAIError))

    def _create(self, prompt: Prompt) -> ChatCompletion:
        return self._client.chat.completions.create(
            model=self.model,
            messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            max_completion_tokens=prompt.max_tokens,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": NAME, "strict": True, "schema": dict(prompt.schema)},
            },
        )


def build_model(settings: OpenAISettings, gate: Gate, model: str, seconds: float) -> OpenAIModel:
    """The model of this deployment; `seconds` is how long an answer may take. Opens nothing."""
    client = OpenAI(
        api_key=settings.openai_api_key or "",
        base_url=settings.openai_base_url,
        timeout=seconds,
        max_retries=0,
        http_client=DefaultHttpxClient(trust_env=False, timeout=seconds, base_url=settings.openai_base_url),
    )
    return OpenAIModel(client, model, gate)


def _read(answer: ChatCompletion) -> Completion:
    """The SDK trusts what it is sent, so nothing that may be missing is taken for granted here."""
    choice = answer.choices[0] if answer.choices else None
    message, usage = choice.message if choice else None, answer.usage
    details = usage.prompt_tokens_details if usage else None
    ending = ENDINGS.get(str(choice.finish_reason), "complete") if choice else "complete"
    return Completion(
        text=(message.content or "") if message else "",
        ending="refused" if message and message.refusal else ending,
        model=str(answer.model or ""),
        request_id=answer._request_id,
        input_tokens=(usage and usage.prompt_tokens) or 0,
        # Here, unlike at Anthropic, a part of the tokens that were read.
        cached_tokens=(details and details.cached_tokens) or 0,
        output_tokens=(usage and usage.completion_tokens) or 0,
    )
