"""Users, sessions, keys: who gets in, how long, and what ends it at once."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.compliance import statements
from pitstop.compliance.facts import Artifact, Facts
from pitstop.errors import AccessError, UnknownNameError
from pitstop.service.auth.actor import Actor
from pitstop.service.auth.forms import local_path
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import SESSION_MICROSECONDS, People
from pitstop.service.auth.separation import authors_of
from pitstop.service.auth.throttle import FREE, Throttle
from pitstop.service.fleet import Fleet
from pitstop.service.jobs.board import Board
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home

from .conftest import ADMIN, HERE, NOON, PLACES, Opened

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
OTHER = "quite another one"
OTHER = "another long pass phrase"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Run every test of this module on both catalogs."""
    return str(request.param)


def test_what_is_kept_of_secrets_is_no_secret(opened: Opened, tmp_path: Path) -> None:
    opened.people.add("ann", PASSWORD, ["operator"], NOON)
    session = opened.people.begin("ann", PASSWORD, NOON)
    key = opened.key("viewer")["authorization"].split()[1]
    token = People(Fleet.open(tmp_path / "fresh.sqlite")).bootstrap(NOON)
    assert session is not None
    assert token is not None
    opened.workspace.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.sqlite*"))
    for secret in (PASSWORD, session, key, token):
        assert secret.encode() not in kept
        assert secret.partition("_")[2].encode() not in kept or secret == PASSWORD


def test_a_change_of_password_roles_or_activity_ends_every_session(opened: Opened) -> None:
    people = opened.people
    people.add("root", PASSWORD, ["admin"], NOON)
    people.add("ann", PASSWORD, ["operator"], NOON)
    changes: tuple[Callable[[], None], ...] = (
        lambda: people.set_password("ann", PASSWORD),
        lambda: people.set_roles("ann", ["viewer"]),
        lambda: people.set_active("ann", active=False),
    )
    for change in changes:
        sessions = [people.begin("ann", PASSWORD, NOON) for _ in range(2)]
        assert all(people.actor(str(session), NOON) for session in sessions)
        change()
        assert not any(people.actor(str(session), NOON) for session in sessions)
    assert people.begin("ann", PASSWORD, NOON) is None
    people.set_active("ann", active=True)
    session = str(people.begin("ann", PASSWORD, NOON))
    assert people.actor(session, NOON + SESSION_MICROSECONDS - 1) == Actor(
        "ann", frozenset({"viewer"}), None, "session"
    )
    assert people.actor(session, NOON + SESSION_MICROSECONDS) is None
    people.end(session)
    assert people.actor(session, NOON) is None
    with pytest.raises(AccessError, match="last admin"):
        people.set_roles("root", ["viewer"])
    with pytest.raises(AccessError, match="last admin"):
        people.set_active("root", active=False)
    assert people.begin("root", PASSWORD, NOON) is not None
    with pytest.raises(UnknownNameError):
        people.set_password("nobody", PASSWORD)


@pytest.mark.anyio
async def test_a_change_of_a_user_is_made_whole_or_not_at_all(opened: Opened) -> None:
    opened.people.add("root", PASSWORD, ["admin"], NOON)
    session = {"cookie": f"pitstop_session={opened.people.begin('root', PASSWORD, NOON)}", "origin": HERE}
    async with opened.client(**session) as http:
        asked = {"password": OTHER, "roles": ["viewer"]}
        assert (await http.patch("/v1/users/root", json=asked)).status_code == 403
    assert opened.people.begin("root", PASSWORD, NOON) is not None
    with pytest.raises(AccessError, match="last admin"):
        opened.people.change("root", password=OTHER, active=False)
    assert opened.people.begin("root", PASSWORD, NOON) is not None
    opened.people.change("root", password=OTHER, roles=["admin", "viewer"])
    assert opened.people.begin("root", OTHER, NOON) is not None


@pytest.mark.anyio
async def test_a_list_of_names_is_seen_whole_though_some_come_and_go(opened: Opened) -> None:
    for name in ("bob", "dan", "eve"):
        opened.people.add(name, PASSWORD, ["viewer"], NOON)
    async with opened.client(**opened.key("admin")) as http:
        first = (await http.get("/v1/users", params={"limit": 2})).json()
        opened.people.add("ann", PASSWORD, ["viewer"], NOON)
        second = (await http.get("/v1/users", params={"limit": 2, "cursor": first["next"]})).json()
        names = [[user["name"] for user in part["items"]] for part in (first, second)]
        assert (names, second["next"]) == ([["bob", "dan"], ["eve"]], None)
        # A cursor of another kind of list is nobody's here.
        assert (await http.get("/v1/quarantine", params={"cursor": first["next"]})).status_code in (404, 409)
        assert (await http.get("/v1/jobs", params={"cursor": first["next"]})).status_code == 404


def test_roles_from_elsewhere_change_where_there_is_no_admin(opened: Opened) -> None:
    """An identity provider may make nobody an admin: then there is no last one to keep."""
    opened.people.begin_trusted("ann", "subject", ["viewer"], NOON)
    session = opened.people.begin_trusted("ann", "subject", ["operator"], NOON)
    found = opened.people.actor(session, NOON)
    assert found is not None
    assert found.roles == {"operator"}
    opened.people.set_roles("ann", ["admin"])
    with pytest.raises(AccessError, match="the last admin"):
        opened.people.begin_trusted("ann", "subject", ["viewer"], NOON)


def test_the_first_user_is_made_once_with_the_last_token_that_was_printed(workspace_folder: Path) -> None:
    with Workspace.open(workspace_folder) as workspace:
        people = People(workspace.fleet)
        old, token = people.bootstrap(NOON), str(people.bootstrap(NOON))
        for wrong in (str(old), "", token + "x", "setup_x"):
            with pytest.raises(AccessError):
                people.set_up(wrong, "root", PASSWORD, NOON)
        with pytest.raises(AccessError, match="characters"):
            people.set_up(token, "root", "short", NOON)
        people.set_up(token, "root", PASSWORD, NOON)
        with pytest.raises(AccessError, match="used already"):
            people.set_up(token, "eve", PASSWORD, NOON)
        assert people.bootstrap(NOON) is None
        assert [(user.name, user.roles) for user in people.users()] == [("root", frozenset({"admin"}))]


def test_a_key_is_worth_no_more_than_its_maker_and_expires(opened: Opened) -> None:
    people, keys = opened.people, opened.keys
    people.add("root", PASSWORD, ["admin"], NOON)
    people.add("ann", PASSWORD, ["operator", "viewer"], NOON)
    ann = Actor("ann", frozenset({"operator", "viewer"}), None, "session")
    for roles, models, days, by in (
        (["admin"], None, 1, ann),
        (["approver"], None, 1, ann),
        ([], None, 1, ann),
        (["viewer"], None, 0, ann),
        (["viewer"], None, 367, ann),
        (["ingest"], None, 1, Actor("bob", frozenset({"viewer"}), None, "session")),
        (["viewer"], None, 1, Actor("bob", frozenset({"viewer"}), frozenset({"loans"}), "session")),
        (["viewer"], ["churn"], 1, Actor("bob", frozenset({"viewer"}), frozenset({"loans"}), "session")),
        (["viewer"], None, 1, Actor("ann/ci", frozenset({"operator", "viewer"}), None, "key")),
    ):
        with pytest.raises(AccessError):
            keys.make("k", roles, models, days, by=by, at=NOON)
    _, text = keys.make("ci", ["operator", "ingest"], ["loans"], 1, by=ann, at=NOON)
    found = Actor("ann/ci", frozenset({"operator", "ingest"}), frozenset({"loans"}), "key")
    assert keys.actor(text, NOON) == found
    assert keys.actor(text, NOON + 86_400_000_000) is None
    people.set_roles("ann", ["viewer"])
    assert keys.actor(text, NOON) is None
    people.set_roles("ann", ["operator"])
    assert keys.actor(text, NOON) == found
    people.set_active("ann", active=False)
    assert keys.actor(text, NOON) is None


@pytest.mark.anyio
async def test_logging_in_and_out_as_a_browser_does(opened: Opened) -> None:
    opened.people.add("ann", PASSWORD, ["operator"], NOON)
    async with opened.client(origin=HERE) as http:
        form = await http.get("/login", params={"next": "/v1/me"})
        assert re.search(r'name="next" value="/v1/me"', form.text)
        again = await http.post("/login", data={"name": "ann", "password": "a slip", "next": "/v1/me"})
        assert again.status_code == 401
        assert re.search(r'name="next" value="/v1/me"', again.text)
        assert "unsafe-inline" not in form.headers["content-security-policy"]
        wrong = await http.post("/login", data={"name": "ann", "password": "x", "next": "/"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
        right = await http.post("/login", data={"name": "ann", "password": PASSWORD, "next": "//evil.example"})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert (await http.get("/v1/me")).json()["via"] == "session"
        assert 'method="post" action="/logout"' in (await http.get("/")).text
        assert (await http.post("/logout")).status_code == 303
        opened.credentials.forget()
        assert (await http.get("/v1/me")).status_code == 401
    async with opened.client(origin="https://evil.example") as http:
        assert (await http.post("/login", data={"name": "ann", "password": PASSWORD})).status_code == 403


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["folder"])
async def test_what_is_no_key_is_not_remembered(opened: Opened) -> None:
    async with opened.client() as http:
        for number in range(3):
            assert (await http.get("/v1/me", headers={"authorization": f"Bearer {number}"})).status_code == 401
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(100):
                long = f"Bearer pitstop_{number}{'x' * 50_000}"
                assert (await http.get("/v1/me", headers={"authorization": long})).status_code == 401
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert after - before < 100 * 50_000 / 2


@pytest.mark.anyio
async def test_guessing_is_slowed_down_by_name(opened: Opened) -> None:
    opened.people.add("ann", PASSWORD, ["operator"], NOON)
    async with opened.client(origin=HERE) as http:
        guesses = [await http.post("/login", data={"name": "eve", "password": f"guess {n}"}) for n in range(FREE + 1)]
        assert [answer.status_code for answer in guesses] == [401] * FREE + [429]
        assert int(guesses[-1].headers["retry-after"]) >= 1
        assert (await http.post("/login", data={"name": "ann", "password": PASSWORD})).status_code == 303


def test_the_throttle_forgets_after_a_success_and_waits_longer_each_time(fleet: Fleet) -> None:
    # Two processes of one service count together.
    throttles, at, waits = (Throttle(fleet), Throttle(fleet)), NOON, []
    for number in range(FREE + 4):
        throttle = throttles[number % 2]
        wait = throttle.attempt("eve", at)
        waits.append(wait)
        if wait:
            at += int(wait * 1_000_000)
            assert throttle.attempt("eve", at) == 0.0
    assert waits == [0.0] * FREE + [1.0, 2.0, 4.0, 8.0]
    assert throttles[0].attempt("ann", at) == 0.0
    throttles[1].succeeded("eve")
    assert [throttles[0].attempt("eve", at) for _ in range(2)] == [0.0, 0.0]
    for _ in range(FREE):
        throttles[0].attempt("bob", at)
    # A clock that is set back far locks nobody out.
    assert throttles[0].attempt("bob", at - 86_400_000_000) == 0.0


@given(st.text(max_size=40) | st.sampled_from(["//e", "/\\e", "/a\\b", "https://e", "/a\nb", "\t//e", "/%0d%0ax"]))
def test_after_a_login_nobody_is_led_to_another_site(there: str) -> None:
    found = local_path(there)
    assert found in {"/", there}
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isprintable()


@pytest.mark.anyio
async def test_an_author_does_not_let_their_own_model_through(opened: Opened) -> None:
    """The challenger in shadow was ordered by ann (see `loans_home`)."""
    for name in ("ann", "bob"):
        opened.people.add(name, PASSWORD, ["approver"], NOON)
    asked = {"action": "release", "reason": "a test", "version": 2}
    made: dict[str, int] = {}
    for name in ("ann", "bob"):
        async with opened.client(cookie=f"pitstop_session={opened.people.begin(name, PASSWORD, NOON)}") as http:
            made[name] = (await http.post("/v1/models/loans/orders", json=asked)).status_code
            items = (await http.get("/v1/models/loans/releases")).json()["items"]
    assert made == {"ann": 403, "bob": 202}
    models = {item["content"]["version"]: item["content"]["model"] for item in items}
    with Home.open(opened.workspace.home("loans"), read_only=True) as home:
        assert {version: authors_of(home, "loans", model) for version, model in models.items()} == {
            1: frozenset(),
            2: frozenset({"ann"}),
        }


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["orders", "pages"])
async def test_a_key_of_an_author_lets_their_model_through_no_more_than_they_do(opened: Opened, place: str) -> None:
    made: dict[str, int] = {}
    for name in ("ann", "bob"):
        maker = Actor(name, frozenset({"approver"}), None, "session")
        _, text = opened.keys.make("ci", ["approver"], None, 1, by=maker, at=NOON)
        async with opened.client(authorization=f"Bearer {text}") as http:
            if place == "orders":
                asked = {"action": "release", "reason": "a test", "version": 2}
                answer = await http.post("/v1/models/loans/orders", json=asked)
            else:
                answer = await http.post("/models/loans/orders/release", data={"version": "2", "reason": "a test"})
            made[name] = answer.status_code
    assert made == ({"ann": 403, "bob": 202} if place == "orders" else {"ann": 409, "bob": 303})
    (job,) = Board(opened.workspace.fleet).jobs()
    assert job.arguments["by"] == "bob"


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["folder"])
async def test_a_version_that_is_no_number_releases_nothing(opened: Opened) -> None:
    async with opened.client(**opened.key("approver")) as http:
        answer = await http.post("/models/loans/orders/release", data={"version": "two", "reason": "a test"})
    assert answer.status_code == 409
    assert "expected a number" in answer.text
    assert Board(opened.workspace.fleet).jobs() == ()


def test_admin_is_no_key_for_everything(opened: Opened) -> None:
    assert ADMIN.may(frozenset({"approver"}))
    assert not ADMIN.may(frozenset())
    assert Keys(opened.workspace.fleet).all() == ()


@pytest.mark.anyio
async def test_guesses_sent_at_once_are_counted_one_by_one(opened: Opened) -> None:
    async with opened.client(origin=HERE) as http:
        form = {"name": "eve", "password": "a guess"}
        answers = await asyncio.gather(*(http.post("/login", data=form) for _ in range(FREE + 5)))
    assert sorted(answer.status_code for answer in answers) == [401] * FREE + [429] * 5


@pytest.mark.anyio
async def test_a_key_makes_no_users(opened: Opened) -> None:
    """A user that a key had made would outlive the key, see every model, and log in to make more keys."""
    asked = {"name": "eve", "password": PASSWORD, "roles": ["admin"]}
    async with opened.client(**opened.key("admin", models=["loans"])) as http:
        assert (await http.post("/v1/users", json=asked)).status_code == 403
    assert opened.people.users() == ()
    opened.people.add("root", PASSWORD, ["admin"], NOON)
    async with opened.client(cookie=f"pitstop_session={opened.people.begin('root', PASSWORD, NOON)}") as http:
        assert (await http.post("/v1/users", json=asked)).status_code == 201


@pytest.mark.anyio
async def test_a_key_of_some_models_is_told_of_those_alone(opened: Opened) -> None:
    hook = {"name": "all", "kind": "webhook", "target": "https://example.com/x"}
    async with opened.client(**opened.key("admin")) as http:
        assert (await http.post("/v1/channels", json=hook)).status_code == 201
    async with opened.client(**opened.key("admin", models=["loans"])) as http:
        refused = await http.post("/v1/channels", json={**hook, "name": "mine"})
        assert (refused.status_code, "sees loans: name those" in refused.json()["detail"]) == (403, True)
        assert (await http.post("/v1/channels", json={**hook, "name": "x", "models": ["churn"]})).status_code == 403
        assert (await http.post("/v1/channels", json={**hook, "name": "x", "models": ["loans"]})).status_code == 201
        assert [item["name"] for item in (await http.get("/v1/channels")).json()["items"]] == ["x"]
        assert (await http.delete("/v1/channels/all")).status_code == 404


@pytest.mark.anyio
async def test_a_key_that_is_made_with_an_idempotency_key_is_kept_nowhere(opened: Opened, tmp_path: Path) -> None:
    opened.people.add("root", PASSWORD, ["admin"], NOON)
    session = opened.people.begin("root", PASSWORD, NOON)
    asked = {"name": "ci", "roles": ["viewer"], "days": 1}
    async with opened.client(cookie=f"pitstop_session={session}") as http:
        made = await http.post("/v1/keys", json=asked, headers={"idempotency-key": "once"})
        again = await http.post("/v1/keys", json=asked, headers={"idempotency-key": "once"})
    assert (made.status_code, again.status_code) == (201, 409)
    assert len(opened.keys.all()) == 1
    opened.workspace.close()
    assert made.json()["text"].encode() not in databases(tmp_path)


def databases(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*.sqlite*"))


@pytest.mark.anyio
@pytest.mark.parametrize("place", ["overrides", "orders/override"])
async def test_an_author_does_not_override_what_holds_their_own_model_up(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The statement is made by hand: of these homes none is held up; who may say it is what is asked here."""
    with Home.open(opened.workspace.home("loans"), read_only=True) as home:
        (shadow,) = [item for item in home.artifacts("release", "loans") if item.content["stage"] == "shadow"]

    def override(facts: Facts, item: str, *, by: str, text: str, **_: object) -> Artifact:
        content = {"item": item, "by": by, "text": text, "challenger": shadow.content["model"]}
        return Artifact(f"override:{by}", "override", facts.now, (), content)

    monkeypatch.setattr(statements, "override", override)
    made: dict[str, int] = {}
    for name in ("ann", "bob"):
        opened.people.add(name, PASSWORD, ["approver"], NOON)
        cookie = f"pitstop_session={opened.people.begin(name, PASSWORD, NOON)}"
        async with opened.client(cookie=cookie, origin=HERE) as http:
            if place == "overrides":
                answer = await http.post("/v1/models/loans/overrides", json={"item": "i", "text": "a reason"})
            else:
                answer = await http.post("/models/loans/orders/override", data={"item": "i", "reason": "a reason"})
            made[name] = answer.status_code
    assert made == ({"ann": 403, "bob": 201} if place == "overrides" else {"ann": 409, "bob": 303})
    with Home.open(opened.workspace.home("loans"), read_only=True) as home:
        assert [item.content["by"] for item in home.artifacts("override", "loans")] == ["bob"]
