"""Users, their tokens and who is the last admin."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from revpipe.db import transaction
from revpipe.services import Services
from revpipe.users import account, accounts, first, links, sessions, tokens
from revpipe.users.errors import BadUser, NoUser
from tests.integration.ledger_fixtures import MovableClock, at_once, one, rows
from tests.integration.people import person, token_of


def change(services: Services, user_id: uuid.UUID, **changes: Any) -> Any:
    with transaction(services.engine) as tx:
        return accounts.change(tx, services.clock.now(), user_id, changes)


def test_an_address_is_one_in_whatever_case(services: Services) -> None:
    user = person(services, " Ann.O'Neil+x@RevPipe.example")
    assert (user.email, user.name) == ("ann.o'neil+x@revpipe.example", "ann.o'neil+x")
    with pytest.raises(BadUser, match="is a user already"):
        person(services, "ANN.O'NEIL+X@revpipe.example")
    with transaction(services.engine) as tx:
        assert account.by_email(tx, "Ann.O'Neil+X@REVPIPE.example") == user
        assert account.by_email(tx, "nobody@revpipe.example") is None


@pytest.mark.parametrize("email", ["", "ann", "ann@", "@x.example", "a b@x.example", "a@b@c", "a@x\nBcc: b@x", "a@.x"])
def test_what_is_no_address_is_refused(services: Services, email: str) -> None:
    with pytest.raises(BadUser, match="no e-mail address"):
        person(services, email)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"role": "boss"}, "no role"),
        ({"name": "x\ny"}, "name:"),
        ({"name": "x" * 201}, "name:"),
        ({"owner_id": " 1"}, "owner_id:"),
        ({"owner_id": ""}, "owner_id:"),
        ({"stand_in": uuid.UUID(int=1)}, "stand_in:"),
    ],
)
def test_what_can_not_be_of_a_user_is_refused(services: Services, more: dict[str, Any], words: str) -> None:
    with pytest.raises(BadUser, match=words):
        person(services, "ann@revpipe.example", **more)
    assert rows(services, "SELECT 1 FROM users") == []


def test_an_owner_is_one_active_user(services: Services) -> None:
    ann = person(services, "ann@revpipe.example", "rep", owner_id="7")
    bo = person(services, "bo@revpipe.example", "rep")
    with pytest.raises(BadUser, match=r"belongs to ann@revpipe\.example"):
        change(services, bo.user_id, owner_id="7")
    change(services, ann.user_id, active=False)
    assert change(services, bo.user_id, owner_id="7").owners == {"7"}
    with pytest.raises(BadUser, match=r"belongs to bo@revpipe\.example"):
        change(services, ann.user_id, active=True)


def test_who_stands_in_has_the_deals_of_both(services: Services) -> None:
    ann = person(services, "ann@revpipe.example", "rep", owner_id="7")
    bo = person(services, "bo@revpipe.example", "rep", owner_id="8", stand_in=ann.user_id)
    person(services, "cy@revpipe.example", "rep", stand_in=ann.user_id)
    with transaction(services.engine) as tx:
        now, before = accounts.found(tx, ann.user_id), ann
    assert before.owners == {"7"}
    assert now.owners == {"7", "8"}
    assert {ann.user_id, bo.user_id} < now.people
    with pytest.raises(BadUser, match="nobody stands in for themselves"):
        change(services, ann.user_id, stand_in=ann.user_id)
    change(services, ann.user_id, active=False)
    assert change(services, bo.user_id, name="Bo").stand_in == ann.user_id, "what was right stays while others change"


def test_the_last_admin_stays(services: Services) -> None:
    ann = person(services, "ann@revpipe.example", "admin")
    for changes in ({"role": "operator"}, {"active": False}):
        with pytest.raises(BadUser, match="last admin"):
            change(services, ann.user_id, **changes)
    person(services, "bo@revpipe.example", "admin")
    assert change(services, ann.user_id, role="operator").role == "operator"


def test_two_admins_that_disable_each_other_at_once_leave_one(services: Services) -> None:
    ids = [person(services, f"{name}@revpipe.example", "admin").user_id for name in ("ann", "bo")]

    def disable(number: int) -> bool:
        try:
            change(services, ids[number], active=False)
        except BadUser:
            return False
        return True

    for _ in range(5):
        assert sorted(at_once(2, disable)) == [False, True]
        rows(services, "UPDATE users SET active = true")


def test_unknown_users_are_told_so(services: Services) -> None:
    with transaction(services.engine) as tx, pytest.raises(NoUser, match="revpipe users list"):
        accounts.named(tx, "nobody@revpipe.example")
    with pytest.raises(NoUser):
        change(services, uuid.uuid4(), name="x")


def test_a_token_holds_until_its_end_and_notes_its_use_by_the_hour(services: Services, clock: MovableClock) -> None:
    ann = person(services, "ann@revpipe.example")
    shown = token_of(services, ann, "read", days=1)["Authorization"].removeprefix("Bearer ")

    def find() -> object:
        with transaction(services.engine) as tx:
            return tokens.find(tx, services.clock.now(), shown)

    assert shown.startswith("rvp_")
    assert find() == (ann, ("read",))
    used = one(services, "SELECT used_at FROM api_tokens")["used_at"]
    clock.move(minutes=30)
    assert find()
    assert one(services, "SELECT used_at FROM api_tokens")["used_at"] == used
    clock.move(minutes=40)
    assert find()
    assert one(services, "SELECT used_at FROM api_tokens")["used_at"] == clock.now()
    clock.move(hours=23)
    assert find() is None
    with transaction(services.engine) as tx:
        assert tokens.find(tx, services.clock.now(), shown[:-1] + "~") is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "name:"),
        ({"scopes": ("read", "everything")}, "everything is no scope"),
        ({"scopes": ()}, "none is no scope"),
        ({"scopes": ("users.write",)}, "users.write is no scope"),
        ({"lasts": timedelta(days=367)}, "1 to 366 days"),
        ({"lasts": timedelta()}, "1 to 366 days"),
    ],
)
def test_tokens_that_can_not_be(services: Services, more: dict[str, Any], words: str) -> None:
    ann = person(services, "ann@revpipe.example")
    wanted = {"name": "x", "scopes": ("read",), "lasts": timedelta(days=1), **more}
    with transaction(services.engine) as tx, pytest.raises(BadUser, match=words):
        tokens.make(tx, services.clock.now(), ann.user_id, wanted["name"], wanted["scopes"], wanted["lasts"])


def test_a_user_has_so_many_tokens_and_revokes_their_own_only(services: Services) -> None:
    ann, bo = person(services, "ann@revpipe.example"), person(services, "bo@revpipe.example")
    for _ in range(tokens.MOST):
        token_of(services, ann, "read")
    with pytest.raises(BadUser, match="at most 50"):
        token_of(services, ann, "read")
    now = services.clock.now()
    with transaction(services.engine) as tx:
        token_id = tokens.listing(tx, ann.user_id)[0]["token_id"]
        with pytest.raises(NoUser):
            tokens.revoke(tx, now, token_id, bo.user_id)
        tokens.revoke(tx, now, token_id, ann.user_id)
        assert tokens.revoke_all(tx, now, ann.user_id) == tokens.MOST - 1
        assert "hash" not in str(tokens.listing(tx))


def test_the_first_admin_is_made_once(services: Services) -> None:
    user, token = first.link(services.engine, services.clock.now())
    again, newer = first.link(services.engine, services.clock.now())
    assert (user, user.role) == (again, "admin")
    assert user.email.endswith("@localhost")
    with transaction(services.engine) as tx:
        assert links.look(tx, services.clock.now(), token) is None
        assert links.look(tx, services.clock.now(), newer) == user
    told = rows(services, "SELECT command FROM operator_audit ORDER BY audit_id")
    assert [row["command"] for row in told] == ["users add", "users link", "users link"]


def test_the_first_admin_is_the_one_who_is_there_longest(services: Services, clock: MovableClock) -> None:
    ann = person(services, "ann@revpipe.example", "admin")
    clock.move(days=1)
    person(services, "aaa@revpipe.example", "admin")
    assert first.link(services.engine, clock.now())[0] == ann


def test_a_session_keeps_only_what_can_be_shown_of_a_browser(services: Services) -> None:
    ann = person(services, "ann@revpipe.example")
    with transaction(services.engine) as tx:
        sessions.begin(tx, services.clock.now(), ann.user_id, "password", "Moz\x00illa\x1b[2J" + "x" * 500)
    device = one(services, "SELECT device FROM sessions")["device"]
    assert device.startswith("Mozilla[2J")
    assert len(device) == sessions.DEVICE
