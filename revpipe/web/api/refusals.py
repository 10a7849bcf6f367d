"""What the core refuses, as problems with the status that fits."""

from typing import Final

from flask import Blueprint, Response

from revpipe.approvals.errors import AlreadyDecided, BadEdit, NoApproval, NotAllowed, VersionMoved
from revpipe.errors import BadPayload, Permanent, RevpipeError
from revpipe.idempotency import KeyBusy, KeyReused
from revpipe.web.errors import problem

STATUS: Final[dict[type[RevpipeError], tuple[int, str]]] = {
    NoApproval: (404, "Not Found"),
    AlreadyDecided: (409, "Already decided"),
    VersionMoved: (412, "Edited meanwhile"),
    NotAllowed: (403, "Not allowed"),
    BadEdit: (422, "Can't be edited so"),
    BadPayload: (422, "Can't be kept"),
    KeyReused: (422, "Key used before"),
    KeyBusy: (409, "Under way"),
    Permanent: (409, "Can't be done"),
}
AGAIN_SECONDS: Final = 1


def register(blueprint: Blueprint) -> None:
    """Let what the core refuses leave the routes of a resource as problems."""
    for kind in STATUS:
        blueprint.register_error_handler(kind, _told)


def _told(error: Exception) -> Response:
    status, title = next(told for kind, told in STATUS.items() if isinstance(error, kind))
    response = problem(status, title, str(error))
    if isinstance(error, KeyBusy):
        response.headers["Retry-After"] = str(AGAIN_SECONDS)
    return response
