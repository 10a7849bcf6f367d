"""Where the key comes from that signs forms and sign-ins."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from config.settings import Settings, SettingsError
from revpipe import secret_key

KEY = "k" * 32


def test_the_one_that_is_set_is_taken_and_no_file_is_made(tmp_path: Path) -> None:
    settings = Settings(secret_key=KEY, revpipe_data_dir=tmp_path, public_url="https://revpipe.example")
    assert (secret_key.of(settings), secret_key.here(settings)) == (KEY, KEY)
    assert not list(tmp_path.iterdir())


def test_behind_https_it_must_be_set(tmp_path: Path) -> None:
    settings = Settings(revpipe_data_dir=tmp_path, public_url="https://revpipe.example")
    with pytest.raises(SettingsError, match=r"SECRET_KEY is not set.*openssl rand -hex 32"):
        secret_key.of(settings)
    assert len(secret_key.here(settings)) == 64, "`revpipe up` on one machine may have an https address, too"


def test_a_short_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="too short"):
        secret_key.of(Settings(secret_key="changeme", revpipe_data_dir=tmp_path))


def test_on_ones_own_machine_it_is_made_once_for_all_processes_and_for_nobody_else(tmp_path: Path) -> None:
    settings = Settings(revpipe_data_dir=tmp_path / "data")
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: secret_key.of(settings), range(16)))
    assert len(keys) == 1
    assert keys == {secret_key.of(replace(settings, public_url="http://127.0.0.1:8000"))}
    (file,) = (tmp_path / "data").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
