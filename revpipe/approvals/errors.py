"""Why a word on an action does not count. Each text is for the person who spoke."""

from revpipe.errors import Permanent


class NoApproval(Permanent):
    """No approval is asked for such an action."""

    code = "no_approval"


class AlreadyDecided(Permanent):
    """Somebody, or policy, was faster; the text says who, when and by which way. Nothing was changed."""

    code = "already_decided"


class VersionMoved(Permanent):
    """The action was edited since it was shown, so that another text would have been approved. Nothing was changed."""

    code = "version_moved"


class NotAllowed(Permanent):
    """Policy does not let this person decide on this action."""

    code = "not_allowed"


class BadEdit(Permanent):
    """An edit that can't be carried out; the text names the field and what is wrong with it."""

    code = "bad_edit"
