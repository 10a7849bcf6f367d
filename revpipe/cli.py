"""The `revpipe` command. Each group of commands is a file in revpipe/commands/."""

import importlib
import sys
from keyword import iskeyword
from typing import Final

import click

from config.settings import SettingsError
from revpipe.errors import Misconfigured, RevpipeError

COMMANDS: Final = {
    "up": "up",
    "demo": "demo",
    "trace": "trace",
    "signals": "signals",
    "approvals": "approvals",
    "suppressions": "suppressions",
    "actions": "actions",
    "deadletters": "deadletters",
    "replay": "replay",
    "audit": "audit",
    "users": "users",
    "tokens": "tokens",
    "rules": "rules",
    "corpus": "corpus",
    "queues": "queues",
    "llm": "llm",
    "balance": "balance",
    "capacity": "capacity",
    "drill": "drill",
    "prune": "prune",
    "generate": "generate",
    "import": "import_file",
    "migrate": "ledger",
    "web": "web",
    "worker": "processes",
    "keeper": "processes",
    "beat": "processes",
    "flower": "processes",
}
"""Command → its file. Only the one asked for is read: to read all of them takes a second."""


class Commands(click.Group):
    """The commands of the table above."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Their names, in order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"revpipe.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name + "_" * iskeyword(cmd_name))
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="revpipe")
def cli() -> None:
    """From a revenue team's signals to the right actions, within 15 minutes, each one explained."""


def main() -> None:
    """Run the command; a fault that a person can mend is one message and exit 2, never a traceback."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except (SettingsError, Misconfigured, RevpipeError) as error:
        click.echo(f"revpipe: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        if not _is_lost_database(error):
            raise
        first_line = str(error.__cause__ or error).splitlines()[0]
        click.echo(f"revpipe: the database is gone or does not answer: {first_line}", err=True)
        click.echo("If revpipe up is just stopping or starting there, try again in a moment.", err=True)
        sys.exit(1)


def _is_lost_database(error: Exception) -> bool:
    # Read only now: whoever got here has read it already.
    from sqlalchemy.exc import InterfaceError, OperationalError

    return isinstance(error, OperationalError | InterfaceError)
