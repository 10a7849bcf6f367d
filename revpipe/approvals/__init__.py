"""A person's word on an action: asked for, shown, edited, given, or waited for in vain."""

from revpipe.approvals.deciding import approve, reject
from revpipe.approvals.editing import edit
from revpipe.approvals.errors import AlreadyDecided, BadEdit, NoApproval, NotAllowed, VersionMoved
from revpipe.approvals.expiring import ending, expire_due
from revpipe.approvals.requesting import request, sort
from revpipe.approvals.seeing import seen
from revpipe.approvals.view import View, inbox, view

__all__ = [
    "AlreadyDecided",
    "BadEdit",
    "NoApproval",
    "NotAllowed",
    "VersionMoved",
    "View",
    "approve",
    "edit",
    "ending",
    "expire_due",
    "inbox",
    "reject",
    "request",
    "seen",
    "sort",
    "view",
]
