"""Every setting is told where operators look for it: docs/operations.md and the deploy button."""

import json
import re

import click
import pytest
import settings_docs
from project_files import ROOT

from revpipe.cli import cli

HOW = "run: python tests/architecture/settings_docs.py"


def test_operations_lists_the_settings_as_they_are() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert settings_docs.section(text) == settings_docs.table(), HOW


def test_the_button_asks_for_the_settings_as_they_are() -> None:
    manifest = json.loads((ROOT / "app.json").read_text(encoding="utf-8"))
    assert manifest["env"] == settings_docs.app_env(), HOW


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/operations.md", "docs/scale.md"])
def test_commands_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|[`/ ])revpipe ([a-z]+)(?: ([a-z]+))?", "\n".join(_code(text)), re.MULTILINE))
    assert named, "the page shows no command"
    for name, follows in named:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None, f"{page}: there is no `revpipe {name}`"
        if follows and hasattr(command, "commands"):
            assert follows in command.commands, f"{page}: there is no `revpipe {name} {follows}`"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/operations.md"])
def test_make_targets_that_a_page_names_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = "\n".join(_code((ROOT / page).read_text(encoding="utf-8")))
    assert set(re.findall(r"make ([a-z]+)", code)) <= targets


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/operations.md"])
def test_files_that_a_page_links_to_exist(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]
    assert not missing


def _code(text: str) -> list[str]:
    return re.findall(r"```.*?\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text)
