"""What can be wrong with a message, looked for before Celery does: it deletes such a message, or dies of it."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from celery.utils.time import maybe_iso8601, maybe_make_aware, timezone, to_utc
from kombu.exceptions import ContentDisallowed
from kombu.message import Message

from tasks.brokers.amqp_frames import UNREADABLE

_TEXTS: Final = ("root_id", "parent_id", "group", "shadow", "origin")
"""Headers that Celery reads as text, and takes on trust."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a message can't be run: a stable code, and the error in words."""

    reason: str
    error: str
    traceback: str | None = None

    @classmethod
    def of(cls, reason: str, error: BaseException) -> "Fault":
        """The fault that an exception showed."""
        told = "".join(traceback.format_exception(error))[-8000:]
        return cls(reason, f"{type(error).__name__}: {error}"[:4000], told)


def fault_in(message: Message, tasks: Mapping[str, Any]) -> Fault | None:
    """The first fault of a message of Celery's protocol 2, None if a worker that has `tasks` can run it.

    Nobody here publishes protocol 1, so a message without a task header is none of ours.
    """
    headers: Mapping[str, Any] = message.headers
    if UNREADABLE in headers:
        return Fault("no_envelope", str(headers[UNREADABLE]))
    name = headers.get("task")
    if not isinstance(name, str):
        return Fault("no_task", "the message names no task in its headers")
    if name not in tasks:
        return Fault("unknown_task", f"this worker knows no task {name!r}")
    return _in_headers(headers) or _in_body(message, tasks[name])


def _in_headers(headers: Mapping[str, Any]) -> Fault | None:
    if not isinstance(headers.get("id"), str) or not headers["id"]:
        return Fault("no_id", "the message has no id in its headers")
    for name in ("eta", "expires"):
        try:
            _moment(headers.get(name))
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            return Fault.of("bad_eta", error)
    limits = headers.get("timelimit")
    if limits is not None and not (
        isinstance(limits, list | tuple) and len(limits) == 2 and all(_is_limit(one) for one in limits)
    ):
        return Fault("bad_header", "timelimit is not a pair of numbers")
    if not isinstance(headers.get("retries") or 0, int):
        return Fault("bad_header", "retries is not a number")
    for name in _TEXTS:
        if not isinstance(headers.get(name) or "", str):
            return Fault("bad_header", f"{name} is not a text")
    return None


def _moment(value: Any) -> None:
    """Read a time as the worker will. Raises what the worker would raise, who knows no way on from there."""
    if value is not None:
        to_utc(timezone.to_system(maybe_make_aware(maybe_iso8601(value), timezone.utc))).timestamp()


def _is_limit(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _in_body(message: Message, task: Any) -> Fault | None:
    try:
        body = message.decode()
    except ContentDisallowed as error:
        return Fault.of("content_type", error)
    # Whatever a body makes its decoder raise is a fault of the body.
    except Exception as error:  # noqa: BLE001
        return Fault.of("undecodable", error)
    if not isinstance(body, list | tuple) or len(body) != 3:
        return Fault("bad_body", "the body is not a list of arguments, keyword arguments and the rest")
    args, kwargs, embed = body
    if not isinstance(args, list | tuple):
        return Fault("bad_body", "the arguments are not a list")
    if not isinstance(kwargs, dict):
        return Fault("bad_kwargs", "the keyword arguments are not a mapping")
    if embed is not None and not isinstance(embed, dict):
        return Fault("bad_embed", "the third part of the body is not a mapping")
    return _in_arguments(task, args, kwargs)


def _in_arguments(task: Any, args: Any, kwargs: dict[Any, Any]) -> Fault | None:
    """Whether the task can be called so, by the signature that Celery itself keeps of it (`Task.__header__`)."""
    check = getattr(task, "__header__", None)
    if check is None:
        return None
    try:
        check(*args, **kwargs)
    except TypeError as error:
        return Fault.of("bad_arguments", error)
    return None
