"""What all tests share: on CI nothing may be skipped, for a test that never runs proves nothing."""

import os
from collections.abc import Generator
from typing import Any

import pytest
import structlog
from hypothesis import settings

from revpipe import interpreter

# How long an example may take says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_SKIPPED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin the list of what was skipped, and let what the product logs be written plainly.

    Left to itself structlog draws a box around every variable of every frame of a traceback, which takes seconds.
    """
    config.stash[_SKIPPED] = []
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


def pytest_collection_finish() -> None:
    """Look for garbage as seldom as a worker does: thousands of tests that are loaded are none."""
    interpreter.look_rarely()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note each test that was skipped; one that is expected to fail is not."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        item.config.stash[_SKIPPED].append(report.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Note each file that was skipped as a whole."""
    report = yield
    if report.skipped:
        collector.config.stash[_SKIPPED].append(report.nodeid)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let the run fail where CI=true and something was skipped."""
    if _forbidden(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say why."""
    for nodeid in _forbidden(config):
        terminalreporter.write_line(f"CI=true allows no skips: {nodeid}", red=True)


def _forbidden(config: pytest.Config) -> list[str]:
    return config.stash[_SKIPPED] if os.environ.get("CI") == "true" else []


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Who runs which file where several processes run tests."""
    from tests.mixed_scheduling import MixedScheduling  # here, for this file is also read alone

    return MixedScheduling(config, log)
