"""Whom the embedded servers run as: PostgreSQL refuses to run as root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from revpipe.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the server processes; `drop` says that we are root and must become that user."""

    uid: int
    gid: int
    drop: bool

    def own_folder(self, folder: Path) -> None:
        """Make `folder`, for this account alone. Raises Misconfigured if another user made it."""
        if not folder.exists():
            folder.mkdir(mode=0o700)
            if self.drop:
                os.chown(folder, self.uid, self.gid)
        owner = folder.stat().st_uid
        if owner != self.uid:
            raise Misconfigured(
                f"{folder} belongs to user {owner}, but the embedded servers would run as user {self.uid}."
                " Run as that user, or set REVPIPE_DATA_DIR to another folder."
            )

    def let_through(self, *paths: Path) -> None:
        """Let this account reach `paths` when it is not ours, changing as little as will do.

        A folder that it can't pass gets the right for others to pass (o+x), never to list or read. Root's own
        home is such a folder, and there is no other way: the data must stay in the data folder, and PostgreSQL
        gives up every right of root.
        """
        if not self.drop:
            return
        for path in paths:
            for folder in (path, *path.parents) if path.is_dir() else path.parents:
                _let_pass(folder)


def server_account() -> Account:
    """Ourselves, or `nobody` when we are root. Raises Misconfigured if there is no such user."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), drop=False)
    try:
        # A user with an entry in the password file: initdb looks its own up.
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Misconfigured(
            "PostgreSQL does not run as root, and this machine has no user nobody. Run revpipe as an ordinary"
            " user, or set DATABASE_URL and REDIS_URL."
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid, drop=True)


def _let_pass(folder: Path) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IXOTH:
        return
    try:
        folder.chmod(mode | stat.S_IXOTH)
    except OSError as error:
        raise Misconfigured(
            f"The user nobody, as whom the embedded servers run, can't pass {folder}: {error}. Run revpipe as an"
            " ordinary user, or set DATABASE_URL and REDIS_URL."
        ) from error
