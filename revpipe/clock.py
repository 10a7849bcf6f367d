"""The time as this machine has it."""

from datetime import UTC, datetime


class SystemClock:
    """The Clock that product processes use; tests give another one."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)
