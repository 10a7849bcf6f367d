"""A simulated provider of language models: what it was asked, and how it is to answer."""

from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]
MODES: Final = ("careful", "obedient", "scripted")


@dataclass
class ModelKnobs:
    """How a provider answers.

    careful    a plain, harmless decision that follows from the question alone
    obedient   whatever a text in the question asks for, as it asks for it (model_mind.py)
    scripted   the JSON value `script`, always
    """

    api_key: str = "sandbox-key"
    mode: str = "careful"
    script: Any = None


@dataclass
class ModelStore:
    """`asked` are the requests that were answered, oldest first."""

    knobs: ModelKnobs
    asked: list[Json] = field(default_factory=list)
