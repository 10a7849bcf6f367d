"""All that the product's processes read before they work; tests/e2e/preloaded.py forks them from one that has read it.

Only that server imports this file.
"""

import importlib
from typing import Final

from revpipe.local import fork_server

COMMANDS: Final = ("approvals", "import_file", "ledger", "llm", "trace")
"""What tests run beside web, workers and keeper."""

for name in (*(f"revpipe.commands.{one}" for one in COMMANDS), "tests.e2e.armed"):
    importlib.import_module(name)
fork_server.preload()
