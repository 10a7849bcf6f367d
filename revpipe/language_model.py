"""The port to language models: one question, one answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question to a language model. The answer shall be JSON that fits `schema` (a JSON schema, an object).

    `system` holds our instructions alone, `user` the data that they are about; `max_tokens` bounds the answer.
    """

    system: str
    user: str
    schema: Mapping[str, Any]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, whole or not.

    `ending` is `complete`, `truncated` (it ran into a limit of tokens) or `refused`; `text` is what it wrote, its JSON
    unread. `input_tokens` are all that were read, `cached_tokens` those of them that cost less.
    """

    text: str
    ending: str
    model: str
    request_id: str | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int


class LanguageModel(Protocol):
    """Answers one question at a time. It remembers nothing, and has no tools."""

    name: str
    """The provider."""
    model: str
    """The model's id, as its vendor writes it."""

    def ask(self, prompt: Prompt) -> Completion:
        """The answer, within the time that the model was made with, asked for once.

        Raises RateLimited, CircuitOpen, CredentialsRefused, Transient, or Permanent for a question that the vendor
        will never take.
        """
