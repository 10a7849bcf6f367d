"""The engine for CEL, without the command line that its package brings.

That one costs each process at its start a fifth of all that it imports, and memory, for what no process of ours uses.
"""

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402  only now

Context = cel.Context
compile = cel.compile
