"""`revpipe users` and `revpipe tokens` at the terminal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from revpipe.cli import cli
from revpipe.errors import RevpipeError
from revpipe.services import Services
from tests.integration.ledger_fixtures import rows
from tests.integration.people import in_, post, web

ANN = "ann@revpipe.example"
Ask = Callable[..., Any]


@pytest.fixture
def run(services: Services, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Runs a command on the ledger of this test."""
    for name in ("database_url", "redis_url", "broker_url"):
        monkeypatch.setenv(name.upper(), str(getattr(services.settings, name)))
    monkeypatch.setenv("REVPIPE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PUBLIC_URL", "http://localhost")
    return lambda *words: CliRunner().invoke(cli, words)


@pytest.fixture
def ask(run: Callable[..., Result]) -> Ask:
    """What a command tells as JSON."""

    def do(*words: str) -> Any:
        done = run(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    return do


def test_a_user_from_the_first_link_to_the_last_day(ask: Ask, services: Services) -> None:
    made = ask("users", "add", ANN, "--role", "rep", "--owner-id", "7", "--name", "Ann")
    assert {name: made[name] for name in ("email", "role", "owner_id", "name")} == {
        "email": ANN, "role": "rep", "owner_id": "7", "name": "Ann"
    }  # fmt: skip
    client = web(services).test_client()
    path = made["link"].removeprefix("http://localhost")
    assert post(client, path, path).status_code == 303
    assert in_(client)
    ask("users", "add", "bo@revpipe.example", "--role", "admin", "--stand-in", ANN)
    assert ask("users", "set", ANN, "--role", "operator", "--owner-id", "-")["owner_id"] is None
    assert [user["role"] for user in ask("users", "list")] == ["operator", "admin"]
    assert ask("users", "disable", ANN)["active"] is False
    assert not in_(client)
    assert ask("users", "set", ANN, "--enable")["active"] is True
    assert not in_(client)
    assert ask("users", "set", "bo@revpipe.example", "--stand-in", "-")["stand_in"] is None
    told = [row["command"] for row in rows(services, "SELECT command FROM operator_audit ORDER BY audit_id")]
    sets = ["users set"]
    assert told == ["users add", "sign-in", "users add", *sets, "users disable", *sets, *sets]


def test_a_token_is_printed_once_and_revoked(ask: Ask, run: Callable[..., Result]) -> None:
    ask("users", "add", ANN, "--role", "viewer")
    made = ask("tokens", "add", ANN, "--name", "reports", "--scope", "read", "--days", "3")
    (listed,) = ask("tokens", "list", "--user", ANN)
    assert made["token"].startswith(listed["prefix"])
    assert made["token"] not in run("tokens", "list").output
    assert "holds" in run("tokens", "list").output
    assert ask("tokens", "revoke", made["token_id"])["revoked"] is True
    assert "revoked" in run("tokens", "list").output


def test_what_people_read(run: Callable[..., Result]) -> None:
    assert "nobody yet" in run("users", "list").output
    assert "no tokens" in run("tokens", "list").output
    added = run("users", "add", ANN, "--role", "admin").output
    assert "signs in once, without a password: http://localhost/console/sign-in/link/" in added
    assert f"{ANN}  admin  ann" in run("users", "list").output
    assert "http://localhost/console/sign-in/link/" in run("users", "link", ANN, "--hours", "1").output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("users", "disable", ANN), "last admin"),
        (("users", "link", "nobody@revpipe.example"), "no user has the address"),
        (("users", "add", ANN, "--role", "viewer"), "is a user already"),
        (("tokens", "revoke", "00000000-0000-0000-0000-000000000001"), "no token has the id"),
    ],
)
def test_what_can_not_be_is_told_and_recorded(
    run: Callable[..., Result], services: Services, words: tuple[str, ...], told: str
) -> None:
    run("users", "add", ANN, "--role", "admin")
    done = run(*words)
    assert isinstance(done.exception, RevpipeError)
    assert told in str(done.exception)
    last = rows(services, "SELECT detail FROM operator_audit ORDER BY audit_id DESC LIMIT 1")[0]["detail"]
    assert last["outcome"]["refused"] in ("bad_user", "no_user")


def test_set_without_anything_to_set_is_no_command(run: Callable[..., Result]) -> None:
    assert "say what to change" in run("users", "set", ANN).output
