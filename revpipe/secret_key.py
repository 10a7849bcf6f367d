"""The key that signs forms and sign-ins: SECRET_KEY, or on one's own machine a file in the data folder."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from config.settings import Settings, SettingsError, require

FILE: Final = "secret_key"
SHORTEST: Final = 32


def of(settings: Settings) -> str:
    """The key of a web process. Where PUBLIC_URL is https it must be set: the processes there share no folder.

    Raises SettingsError if it is missing or too short.
    """
    if (settings.public_url or "").startswith("https://"):
        require(settings, "secret_key")
    return here(settings)


def here(settings: Settings) -> str:
    """The key for processes of this machine: the one set, else the one in the data folder, made if need be.

    Raises SettingsError if it is too short.
    """
    if not settings.secret_key:
        return _of_folder(settings.revpipe_data_dir)
    if len(settings.secret_key) < SHORTEST:
        raise SettingsError(f"SECRET_KEY is too short: it has {SHORTEST} characters or more (openssl rand -hex 32)")
    return settings.secret_key


def _of_folder(folder: Path) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / FILE
    if not path.exists():
        # Written aside and then given its name, which only one of several processes can do: none reads half a key.
        aside = folder / f"{FILE}.{secrets.token_hex(8)}"
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_hex(32), encoding="ascii")
        with suppress(FileExistsError):
            os.link(aside, path)
        aside.unlink()
    return path.read_text(encoding="ascii").strip()
