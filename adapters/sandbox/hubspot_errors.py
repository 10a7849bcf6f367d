"""HubSpot's error answers (HubSpot docs, error handling): each field may be missing, as in the real ones."""

import json
import uuid
from collections.abc import Sequence
from typing import Any


class ApiError(Exception):
    """An answer outside 2xx: its status and body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("message")))
        self.status = status
        self.body = body


def refuse(status: int, message: str, category: str | None = None, **more: Any) -> ApiError:
    """An error in the common shape."""
    body = {"status": "error", "message": message, "correlationId": str(uuid.uuid4()), **more}
    if category:
        body["category"] = category
    return ApiError(status, body)


def invalid(message: str) -> ApiError:
    """The request itself is wrong."""
    return refuse(400, message, "VALIDATION_ERROR")


def missing() -> ApiError:
    """A single record that does not exist; captured without a category."""
    return refuse(404, "resource not found")


def unauthorised() -> ApiError:
    """No token, or the wrong one."""
    return refuse(401, "Authentication credentials not found or wrong.", "INVALID_AUTHENTICATION")


def too_many(portal_id: int, *, secondly: bool = False) -> ApiError:
    """The 429 of the rolling limits: `errorType` in place of `category`, and no Retry-After."""
    policy = "SECONDLY" if secondly else "TEN_SECONDLY_ROLLING"
    return refuse(
        429,
        f"You have reached your {'secondly' if secondly else 'ten_secondly_rolling'} limit.",
        errorType="RATE_LIMIT",
        policyName=policy,
        groupName=f"publicapi:private-apps-api-calls-{'search' if secondly else 'tensecondly'}:{portal_id}",
    )


def bad_properties(problems: Sequence[tuple[str, str, str]], portal_id: int) -> ApiError:
    """Refused values; each problem is (property, code, sentence). The message repeats them as JSON in text."""
    told = [
        {"isValid": False, "message": said, "error": code, "name": name, "localizedErrorMessage": said}
        | {"portalId": portal_id}
        for name, code, said in problems
    ]
    return refuse(
        400,
        "Property values were not valid: " + json.dumps(told, separators=(",", ":")),
        "VALIDATION_ERROR",
        errors=[{"message": said, "code": code, "context": {"propertyName": [name]}} for name, code, said in problems],
    )
