"""The hook in tests/conftest.py: a skip fails the run on CI, and only there."""

import os
import shutil

import pytest
from project_files import ROOT

pytest_plugins = ["pytester"]

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
def test_a_skip_fails_the_run_on_ci(
    ci: str, extra: str, fails: bool, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    # In this process, and without the plugins that packages bring along: to read all that anew takes seconds.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    shutil.copy(ROOT / "tests/conftest.py", pytester.path)
    pytester.makepyfile(test_some=TESTS.format(skipped=extra), test_other="def test_other():\n    assert True\n")
    done = pytester.runpytest_inprocess(
        "-q", "-p", "no:cacheprovider", "-p", "xdist", "-c", os.devnull, "--rootdir", ".", "."
    )
    assert done.ret == (1 if fails else 0), done.stdout.str()
    assert ("CI=true allows no skips" in done.stdout.str()) is fails
