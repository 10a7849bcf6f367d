"""The files of this project, as the architecture tests look at them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("revpipe", "tasks", "adapters", "config")
_NOT_OURS = {"build", "__pycache__"}


def files() -> Iterator[Path]:
    """Every file of the project; what tools and runs leave behind is in folders that begin with a dot."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts[:-1])
        if path.is_file() and not hidden and not _NOT_OURS & set(parts) and ".egg-info" not in str(path):
            yield path


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """The Python files below some folders: their path from the root, and what they say."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found
