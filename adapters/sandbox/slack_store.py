"""Channels, people and messages of the simulated Slack workspace."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adapters.sandbox.knobs import SlackKnobs

Json = dict[str, Any]


@dataclass
class Channel:
    """A channel or a direct message. Messages are kept oldest first."""

    id: str
    name: str
    is_member: bool = True
    is_archived: bool = False
    user: str | None = None
    messages: list[Json] = field(default_factory=list)


class SlackStore:
    """The workspace. A message is its Slack JSON plus `_visible_at`, epoch milliseconds."""

    def __init__(self, knobs: SlackKnobs, now: Callable[[], int]) -> None:
        self.knobs = knobs
        self._now = now
        self._last_ts = 0
        self.channels: dict[str, Channel] = {}
        self.users: dict[str, str] = {}
        self.whispers: list[Json] = []
        self.triggers: dict[str, tuple[str, int]] = {}
        """Trigger → who pressed, and when in epoch milliseconds."""
        self.spent: set[str] = set()
        self.views: dict[str, Json] = {}
        for channel in (
            Channel("C0DEALS01", "deals"),
            Channel("C0ALERTS1", "alerts"),
            Channel("C0CLOSED1", "closed-club", is_member=False),
            Channel("C0OLDDEAL", "old-deals", is_archived=True),
        ):
            self.channels[channel.id] = channel
        self.users["dana@revpipe.example"] = "U0DANA001"
        self.users["sam@revpipe.example"] = "U0SAM0001"

    def find(self, word: str) -> Channel | None:
        """A channel by id or #name; a user's id opens the direct message with that user."""
        if word in self.channels:
            return self.channels[word]
        if word in self.users.values():
            direct = Channel(f"D{word[1:]}", "", user=word)
            return self.channels.setdefault(direct.id, direct)
        name = word.removeprefix("#")
        return next((channel for channel in self.channels.values() if name and channel.name == name), None)

    def next_ts(self) -> str:
        """A message's time and name within its channel: seconds with six decimals, never twice."""
        self._last_ts = max(self._last_ts + 100, self._now() * 1000)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def post(self, channel: Channel, content: Json) -> Json:
        """Keep a new message of our bot."""
        message: Json = {"type": "message", "user": self.knobs.bot_user_id, "bot_id": "B0REVPIPE"}
        message |= {"app_id": "A0REVPIPE", "team": self.knobs.team_id, "ts": self.next_ts()} | content
        message["_visible_at"] = self._now() + int(self.knobs.history_lag * 1000)
        channel.messages.append(message)
        return message

    def trigger(self, user: str) -> str:
        """A trigger for the form that a press by `user` may open."""
        made = f"{self.next_ts()}.{user}"
        self.triggers[made] = (user, self._now())
        return made

    def keep_view(self, view: Json, user: str) -> Json:
        """Keep a form that is before somebody's eyes, with its id and hash."""
        name = f"V{self.next_ts().replace('.', '')}"
        kept = {**view, "id": name, "team_id": self.knobs.team_id, "_user": user}
        self.views[name] = kept
        self.change_view(kept, view)
        return kept

    def change_view(self, had: Json, view: Json) -> None:
        """Let a form show something else."""
        had |= view
        had["hash"] = f"{self.next_ts()}.h"

    def history(self, channel: Channel) -> list[Json]:
        """The visible messages, newest first."""
        now = self._now()
        return [message for message in reversed(channel.messages) if message["_visible_at"] <= now]
