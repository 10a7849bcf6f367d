"""Processes that die or race beside a test, forked from one that has imported the product already."""

import multiprocessing
from multiprocessing.context import ForkServerContext
from typing import Final

WARM: Final = [
    "tests.integration.dying_recheck",
    "tests.integration.dying_notifier",
    "tests.integration.approval_race",
    # What an adapter is built from is found by its name, and only then imported.
    "adapters.hubspot.actions",
    "adapters.slack.messenger",
]


def processes() -> ForkServerContext:
    """Where to make them. A new interpreter takes seconds to import the product; here it is done once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    return context
