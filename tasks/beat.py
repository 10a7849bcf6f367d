"""The beat process: sends the timetable of config/schedule.py."""

import structlog
from celery.signals import beat_init, setup_logging

from config.settings import load
from revpipe import lifeline, observability
from tasks.app import make_app


@setup_logging.connect(weak=False)
def _leave_logging_alone(**_: object) -> None:
    """Celery sets up no logging of its own when somebody listens here."""


@beat_init.connect(weak=False)
def _say_ready(**_: object) -> None:
    structlog.get_logger(__name__).info("beat_ready")


def main() -> None:
    """Tick until told to stop. The timetable is kept in memory: what may come late may also start anew."""
    settings = load()
    observability.configure(settings, "beat")
    lifeline.watch()
    make_app(settings).Beat(scheduler_cls="celery.beat:Scheduler", loglevel="WARNING", quiet=True).run()


if __name__ == "__main__":
    main()
