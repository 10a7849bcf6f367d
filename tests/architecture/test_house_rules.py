"""What holds for every file of the project."""

import ast
import re
from collections.abc import Iterator

import pytest
from project_files import PRODUCT, ROOT, files, modules, sources

LONGEST = 320
# Put together here, so that this file does not hold what it looks for.
MACHINE = re.compile(r"(?<![\w.~*}])/(?:" + "|".join(("work", "home", "root", "opt", "mnt", "Users")) + r")/\w")
UNFINISHED = re.compile(r"#.*\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
INDEX = re.compile("|".join(("--(?:extra-)?index" + "-url +http", "--find" + "-links", "--trusted" + "-host")))


@pytest.mark.parametrize("pattern", [MACHINE, UNFINISHED], ids=["path of a machine", "unfinished"])
def test_no_file_holds_a(pattern: re.Pattern[str]) -> None:
    hits = []
    for path in files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        hits += [f"{path.relative_to(ROOT)}: {found.group()}" for found in pattern.finditer(text)]
    assert not hits


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "pyproject.toml"])
def test_no_requirement_names_an_index(name: str) -> None:
    assert not INDEX.findall((ROOT / name).read_text(encoding="utf-8"))


def test_files_stay_small() -> None:
    long = {
        path: lines
        for path, text in sources(*PRODUCT, "migrations")
        if (lines := len(text.splitlines())) > LONGEST and not path.startswith("migrations/versions/")
    }
    assert not long, f"split them by noun: {long}"


@pytest.mark.parametrize("folder", PRODUCT)
def test_everything_public_says_what_it_is_for(folder: str) -> None:
    silent = [
        f"{path}: {name}"
        for path, tree in modules(folder)
        for name, node in public(tree)
        if not ast.get_docstring(node)
    ]
    assert not silent


def public(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """Functions, classes and methods that others may use, but for attributes that a Protocol spells as properties."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        nested_class = isinstance(node, ast.ClassDef) and prefix
        if not nested_class and not _attribute(node):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node, f"{node.name}.")


def _attribute(node: ast.FunctionDef | ast.ClassDef) -> bool:
    body = node.body
    return (
        len(body) == 1
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and body[0].value.value is ...
    )
