"""Where the files and sockets of one data folder's embedded servers lie."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from revpipe.errors import Misconfigured

_SOCKET_PATH_BYTES: Final = 100
"""macOS takes 103 bytes in a socket's path, Linux 107."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of one data folder lies. `data` is absolute, without symbolic links."""

    data: Path

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """The places of a data folder, by whatever name it is called."""
        return cls(data_dir.expanduser().resolve())

    @property
    def runtime(self) -> Path:
        """The folder of the sockets: in the data folder, or a short one where its path can't serve.

        Spaces, commas and the like would need quoting that libpq, redis-py and kombu each do otherwise.
        The short one is always under /tmp: TMPDIR may differ between two clients of one data folder.
        """
        inside = self.data / "run"
        longest = str(inside / "servers" / ".s.PGSQL.5432")
        if len(longest) <= _SOCKET_PATH_BYTES and re.fullmatch(r"[\w./-]+", longest, re.ASCII):
            return inside
        digest = hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        return Path("/tmp") / f"revpipe-{digest}"  # noqa: S108 (its owner is checked by trusted_runtime)

    @property
    def control(self) -> Path:
        """The supervisor's socket: each connection is one client."""
        return self.runtime / "control"

    @property
    def sockets(self) -> Path:
        """The folder of the two servers' own sockets."""
        return self.runtime / "servers"

    def lock(self, holder: str) -> Path:
        """The lock file of `supervisor`, `postgres` or `valkey`; it is never removed."""
        return self.data / f"{holder}.lock"

    def log(self, writer: str) -> Path:
        """The log file of `supervisor`, `postgres` or `valkey`."""
        return self.data / f"{writer}.log"

    def trusted_runtime(self) -> bool:
        """Whether the folder of the sockets exists. Raises Misconfigured if it is another user's."""
        try:
            facts = os.lstat(self.runtime)
        except FileNotFoundError:
            return False
        if facts.st_uid != os.geteuid() or not self.runtime.is_dir() or self.runtime.is_symlink():
            raise Misconfigured(
                f"{self.runtime} belongs to another user. Run as that user, or set REVPIPE_DATA_DIR to a folder"
                " of your own."
            )
        return True
