"""The beat timetable: only what may come late without harm."""

from typing import Any, Final

BEAT: Final[dict[str, dict[str, Any]]] = {
    "forget-expired-parts": {
        "task": "maintenance.forget_expired_parts",
        "schedule": 900.0,
        "options": {"queue": "maintenance", "expires": 900},
    },
    "seal": {
        "task": "maintenance.seal",
        "schedule": 60.0,
        "options": {"queue": "maintenance", "expires": 60},
    },
    # Every hour and not once a day: beat keeps no time over a restart, and platforms restart it every day.
    "prune": {
        "task": "maintenance.prune",
        "schedule": 3600.0,
        "options": {"queue": "maintenance", "expires": 3600},
    },
}
