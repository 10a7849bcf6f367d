"""The hook in tests/conftest.py: a skip fails the run on CI, and only there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project_files import ROOT

TESTS = """
import pytest

def test_runs():
    assert True

{skipped}
"""
SKIPPED = "@pytest.mark.skip\ndef test_is_left_out():\n    assert True\n"
WHOLE_FILE = "pytest.skip('not here', allow_module_level=True)\n"
EXPECTED = "@pytest.mark.xfail\ndef test_known():\n    raise ValueError\n"


@pytest.mark.parametrize(
    ("ci", "extra", "fails"),
    [
        ("true", SKIPPED, True),
        ("true", WHOLE_FILE, True),
        ("true", EXPECTED, False),
        ("true", "", False),
        ("", SKIPPED, False),
    ],
)
def test_a_skip_fails_the_run_on_ci(ci: str, extra: str, fails: bool, tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    (tmp_path / "test_some.py").write_text(TESTS.format(skipped=extra))
    (tmp_path / "test_other.py").write_text("def test_other():\n    assert True\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "."],
        cwd=tmp_path,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (1 if fails else 0), done.stdout
    assert ("CI=true allows no skips" in done.stdout) is fails
