"""Who may import whom. The contracts themselves are in .importlinter."""

import ast
import subprocess
import sys

import pytest
from project_files import PRODUCT, ROOT, imported, modules, sources

SANDBOX_MAY = {"flask", "werkzeug", "cryptography", "aiosmtpd"}
"""Flask, what it is made of, and the RSA that Gong's signatures need."""


def test_the_contracts_hold() -> None:
    program = "from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("folder", "allowed"), [("config", {"config"}), ("adapters/sandbox", {"adapters.sandbox"} | SANDBOX_MAY)]
)
def test_imports_only_the_standard_library_and(folder: str, allowed: set[str]) -> None:
    foreign = [
        (path, name)
        for path, tree in modules(folder)
        for name in imported(tree)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not any(name == one or name.startswith(one + ".") for one in allowed)
    ]
    assert not foreign


def test_only_settings_reads_the_environment() -> None:
    """Handing the environment on to a child, and the few places that do, are listed with their reason."""
    hands_on = {
        "config/settings.py",  # The one reader.
        "revpipe/commands/processes.py",  # Tells the module that it runs in its own process where the servers are.
        "revpipe/local/demo_story.py",  # Keys for the player.
        "revpipe/local/formation.py",  # Addresses for the children.
        "revpipe/local/fork_server.py",  # Becomes the environment that a process was asked for with.
        "revpipe/lifeline.py",  # A pipe's number, inherited from the parent.
        "revpipe/drill/fleet.py",  # Hands on to the children of a rehearsal what is no setting.
        "adapters/sandbox/play.py",  # May import nothing of ours.
        "adapters/sandbox/send.py",  # As play.py.
    }
    readers = {
        path
        for path, text in sources(*PRODUCT)
        if "os.environ" in text or "os.getenv" in text
        if any(
            ast.unparse(node) in ("os.environ", "os.getenv")
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute)
        )
    }
    assert readers <= hands_on, f"read settings through config.settings: {readers - hands_on}"
