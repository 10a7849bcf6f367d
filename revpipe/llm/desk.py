"""All that a process needs to leave a signal to a language model, or to ask one."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Any

from revpipe.language_model import LanguageModel
from revpipe.llm.guards import GUARDS, Guard
from revpipe.llm.policy import LlmPolicy
from revpipe.llm.question import PromptTemplate


@dataclass(frozen=True, slots=True)
class Desk:
    """`model` is there only where questions are asked: in workers of the queues decide.llm.

    `turns` bounds how many questions a worker has open that has other work as well.
    """

    policy: LlmPolicy
    template: PromptTemplate
    model: LanguageModel | None = None
    turns: BoundedSemaphore | None = None
    guards: Sequence[Guard] = GUARDS

    def turn(self) -> Any:
        """A context manager whose value is whether a question may be asked now; None stands for no bound."""
        return nullcontext(True) if self.turns is None else _Turn(self.turns)


class _Turn:
    """One of the turns, if one is free."""

    def __init__(self, turns: BoundedSemaphore) -> None:
        self._turns = turns
        self._mine = False

    def __enter__(self) -> bool:
        self._mine = self._turns.acquire(blocking=False)
        return self._mine

    def __exit__(self, *_: object) -> None:
        if self._mine:
            self._turns.release()
