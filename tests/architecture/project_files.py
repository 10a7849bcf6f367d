"""The files of this project, as the architecture tests look at them."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("revpipe", "tasks", "adapters", "config")
_NOT_OURS = {"build", "__pycache__"}


def files() -> Iterator[Path]:
    """Every file of the project; what tools and runs leave behind is in folders that begin with a dot."""
    for folder, below, names in os.walk(ROOT):
        # Taken out here, the folders are not gone through at all: there is a whole .venv of files.
        below[:] = sorted(name for name in below if _ours(name))
        yield from (Path(folder, name) for name in sorted(names) if name not in _NOT_OURS and ".egg-info" not in name)


def _ours(folder: str) -> bool:
    hidden = folder.startswith(".") and folder != ".ci"
    return not hidden and folder not in _NOT_OURS and ".egg-info" not in folder


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """The Python files below some folders: their path from the root, and what they say."""
    for path, text in sources(*folders):
        yield path, _parsed(text)


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """The Python files below some folders: their path from the root, and their text."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def imported(tree: ast.Module) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
