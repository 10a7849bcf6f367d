"""A rate limit over a sliding window."""

from collections import deque


class Pace:
    """Counts calls; the limit and the window's seconds come with each question, so that both may be changed."""

    def __init__(self) -> None:
        self._calls: deque[int] = deque()

    def admit(self, now_ms: int, limit: int | None, seconds: float) -> int | None:
        """How many calls remain after this one, or None if it is one too many. Refused calls don't count."""
        if limit is None:
            return 0
        edge = now_ms - int(seconds * 1000)
        while self._calls and self._calls[0] <= edge:
            self._calls.popleft()
        if len(self._calls) >= limit:
            return None
        self._calls.append(now_ms)
        return limit - len(self._calls)
