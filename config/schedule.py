"""The beat timetable: only what may come late without harm."""

from typing import Any, Final

BEAT: Final[dict[str, dict[str, Any]]] = {
    "forget-expired-parts": {
        "task": "maintenance.forget_expired_parts",
        "schedule": 900.0,
        "options": {"queue": "maintenance", "expires": 900},
    },
}
