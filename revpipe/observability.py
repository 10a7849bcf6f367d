"""Logs and error reports, set up once for each process; the correlation id is in all of them."""

import importlib.metadata
import json
import logging
import sys
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TextIO

import sentry_sdk
import structlog

from config.settings import Settings
from revpipe.redaction import redact, scrub

if TYPE_CHECKING:
    from sentry_sdk._types import DataCollectionUserOptions
    from sentry_sdk.types import Breadcrumb, BreadcrumbHint, Event, Hint

EventDict = MutableMapping[str, Any]

_correlation: ContextVar[str | None] = ContextVar("revpipe_correlation_id", default=None)
_MARK: Final = "revpipe_correlation_id"
# What `send_default_pii=False` meant before Sentry's SDK 2.75 and more: nothing is collected by itself.
_NOTHING_PERSONAL: "Final[DataCollectionUserOptions]" = {
    "user_info": False,
    "cookies": {"mode": "off"},
    "http_headers": {"request": {"mode": "off"}},
    "http_bodies": [],
    "url_query_params": {"mode": "off"},
    "graphql": {"document": False, "variables": False},
    "gen_ai": {"inputs": False, "outputs": False},
    "database_query_data": False,
    "queues": False,
    "stack_frame_variables": False,
}
_PERSONAL: Final = ("request", "user")
_SCRUBBED: Final = ("message", "logentry", "exception", "threads", "extra", "contexts", "transaction")


@contextmanager
def bind_correlation(correlation_id: str | uuid.UUID) -> Iterator[None]:
    """Everything logged or reported within carries this id.

    An error that leaves carries it on, because Celery and Flask report errors only after the work has ended.
    """
    before = _correlation.set(str(correlation_id))
    try:
        yield
    except BaseException as error:
        error.__dict__.setdefault(_MARK, str(correlation_id))
        raise
    finally:
        _correlation.reset(before)


def correlation_id() -> str | None:
    """The id bound now, None outside of any."""
    return _correlation.get()


def configure(settings: Settings, process: str) -> None:
    """Set up logging, and Sentry if there is a DSN; `process` names the process type (web, keeper …)."""
    _configure_logging(settings.log_format, process)
    if settings.sentry_dsn:
        _configure_sentry(settings.sentry_dsn, process)


def _configure_logging(log_format: str, process: str) -> None:
    def add_process(_logger: Any, _name: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
        add_process,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, _hand_to_logging],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = _Lines(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                _redact_event,
                _renderer(log_format),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # Celery tells of every message twice; the trail tells it better, and the ids in it are worth no log line.
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Lines(logging.StreamHandler[TextIO]):
    """Writes log lines; one that can't be written is named, but not shown."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say that a line is missing: logging itself would print it as it was, with all that is in it."""
        reason = type(sys.exception()).__name__
        line = {"event": "a log line could not be written", "logger": record.name, "reason": reason}
        with suppress(OSError, ValueError):
            self.stream.write(json.dumps(line) + self.terminator)


def _renderer(log_format: str) -> Any:
    if log_format == "console":
        # Plain tracebacks: the pretty ones print local variables, and those hold customer data.
        return structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _add_correlation(_logger: Any, _name: str, event: EventDict) -> EventDict:
    found = correlation_id() or _carried_by(event.get("exc_info"))
    if found:
        event.setdefault("correlation_id", found)
    return event


def _carried_by(exc_info: Any) -> str | None:
    """The id that an error took with it when it left bind_correlation."""
    error = exc_info
    if exc_info is True:
        error = sys.exception()
    elif isinstance(exc_info, tuple):
        error = exc_info[1]
    found = getattr(error, _MARK, None)
    return found if isinstance(found, str) else None


def _hand_to_logging(logger: Any, name: str, event: EventDict) -> tuple[tuple[EventDict], dict[str, Any]]:
    args, kwargs = structlog.stdlib.ProcessorFormatter.wrap_for_formatter(logger, name, event)
    # structlog keeps exc_info to itself; on the record, Sentry finds the traceback too.
    if event.get("exc_info"):
        kwargs["exc_info"] = event["exc_info"]
    return args, kwargs


def _redact_event(_logger: Any, _name: str, event: EventDict) -> EventDict:
    redacted: dict[str, Any] = redact(event)
    return redacted


def _configure_sentry(dsn: str, process: str) -> None:
    if not sentry_sdk.is_initialized():
        sentry_sdk.init(
            dsn=dsn,
            release=f"revpipe@{importlib.metadata.version('revpipe')}",
            data_collection=_NOTHING_PERSONAL,
            include_local_variables=False,
            max_request_body_size="never",
            trace_propagation_targets=[],  # no headers of ours on calls to vendors
            before_send=_before_send,
            before_breadcrumb=_before_breadcrumb,
        )
    sentry_sdk.get_global_scope().set_tag("process", process)


def _before_send(event: "Event", hint: "Hint") -> "Event":
    """An error report without request, user, or anything that reads like an address or a token."""
    report: dict[str, Any] = dict(event)
    for name in _PERSONAL:
        report.pop(name, None)
    said = _structured(hint)
    if said is not None:
        facts = {key: value for key, value in said.items() if key not in ("event", "exc_info")}
        report["logentry"] = {"message": str(said.get("event"))}
        report["extra"] = {**report.get("extra", {}), **facts}
    for name in _SCRUBBED:
        if name in report:
            report[name] = redact(report[name])
    found = correlation_id() or _carried_by(hint.get("exc_info")) or (said or {}).get("correlation_id")
    if found:
        report["tags"] = {**report.get("tags", {}), "correlation_id": found}
    cleaned: Event = report  # type: ignore[assignment]
    return cleaned


def _before_breadcrumb(crumb: "Breadcrumb", hint: "BreadcrumbHint") -> "Breadcrumb":
    """A breadcrumb without its data (URLs, arguments), and with its text scrubbed."""
    crumb.pop("data", None)
    said = _structured(hint)
    text = crumb.get("message") if said is None else said.get("event")
    if text is not None:
        crumb["message"] = scrub(str(text))
    return crumb


def _structured(hint: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The structlog event behind a log record; to Sentry it would be the text of a dict."""
    record = hint.get("log_record")
    return record.msg if record is not None and isinstance(record.msg, dict) else None
