"""Who did something to the pipeline, and by which way."""

import uuid
from dataclasses import dataclass
from typing import Final

WAYS: Final = ("cli", "console", "slack", "email", "api", "policy")


@dataclass(frozen=True, slots=True)
class Actor:
    """One who decides or acts: `name` is a user's e-mail, `user@host` at a terminal, or `policy`."""

    name: str
    way: str
    user_id: uuid.UUID | None = None

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise ValueError(f"{self.way!r} is no way to act; there are: {', '.join(WAYS)}")


POLICY: Final = Actor("policy", "policy")
"""What acts when nobody has."""
