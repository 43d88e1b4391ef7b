"""The outermost layer: whose requests pass, under which names, from which sites, and how long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.errors import AccessError, SpecError, StoreError
from pitstop.service.app import create_app
from pitstop.service.auth.actor import LOCAL, Actor
from pitstop.service.auth.guard import BODY_CAP, HEADERS
from pitstop.service.auth.rules import requires
from pitstop.service.settings import Settings
from pitstop.service.workspace import Workspace

HERE = "http://127.0.0.1"
SPEC = (
    '[model]\nname = "churn"\ntask = "binary"\n[columns]\ntime = "at"\nfeatures = ["age"]\nid = "id"\nlabel = "left"\n'
)


class Nobody:
    """An authenticator that knows one name for each credential it was told."""

    def __init__(self, known: dict[str, Actor]) -> None:
        self.known = known

    def actor(self, scope: Any, headers: Any) -> Actor | None:
        del scope
        return self.known.get(headers.get("authorization", ""))


async def echo(request: Request) -> JSONResponse:
    return JSONResponse({"who": request.scope["state"]["actor"].name, "length": len(await request.body())})


@requires("approver")
async def approving(request: Request) -> JSONResponse:
    return await echo(request)


@requires("operator")
async def of_model(request: Request) -> JSONResponse:
    return await echo(request)


async def mounted(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive, send
    pytest.fail("a mounted application was reached")


PAGES = [
    Route("/read", echo),
    Route("/undeclared", echo, methods=["POST"]),
    Route("/approve", approving, methods=["POST"]),
    Route("/models/{model}/do", of_model, methods=["POST"]),
    Mount("/mounted", mounted),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.open(tmp_path / "w") as opened:
        yield opened


def client(workspace: Workspace, known: dict[str, Actor] | None = None) -> httpx.AsyncClient:
    app = create_app(workspace, Settings(), authenticator=None if known is None else Nobody(known), pages=PAGES)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE)


def actor(*roles: str, models: frozenset[str] | None = None) -> Actor:
    return Actor("ann", frozenset(roles), models, "key")


@pytest.mark.anyio
async def test_nobody_reaches_anything_but_the_public_addresses(workspace: Workspace) -> None:
    async with client(workspace, {}) as http:
        for path in ("/read", "/mounted/x", "/nothing", "/v1/models/churn/predictions", "/healthz/", "//healthz"):
            for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                answer = await http.request(method, path)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["content-type"] == "application/problem+json"
        assert (await http.get("/healthz")).text == "ok\n"
        assert (await http.get("/readyz")).json() == {"state": "ok", "parts": {}}
        page = await http.get("/read?a=b", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fread%3Fa%3Db")


@pytest.mark.anyio
async def test_a_role_is_asked_for_and_a_model_out_of_scope_is_not_there(workspace: Workspace) -> None:
    known = {
        "low": actor("viewer"),
        "high": actor("approver"),
        "admin": actor("admin"),
        "other": actor("operator", models=frozenset({"fraud"})),
    }
    for name in ("churn", "fraud"):
        workspace.register(SPEC.replace("churn", name), at=1)
    async with client(workspace, known) as http:

        async def status(who: str, path: str, method: str = "POST") -> int:
            return (await http.request(method, path, headers={"authorization": who})).status_code

        assert await status("low", "/read", "GET") == 200
        assert [await status(who, "/approve") for who in ("low", "high", "admin", "other")] == [403, 200, 200, 403]
        assert [await status(who, "/undeclared") for who in known] == [403, 403, 403, 403]
        assert await status("other", "/models/fraud/do") == 200
        assert await status("other", "/models/churn/do") == 404
        assert await status("admin", "/models/churn/do") == 200


@pytest.mark.anyio
async def test_other_hosts_and_other_sites_are_refused(workspace: Workspace) -> None:
    async with client(workspace) as http:
        for host in ("evil.example", "127.0.0.1.evil.example", "", "evil.example:8765", "[::2]"):
            assert (await http.get("/read", headers={"host": host})).status_code == 421, host
        assert (await http.get("/read", headers={"host": "localhost:8765"})).status_code == 200
        for headers in (
            {"origin": "http://evil.example"},
            {"origin": "null"},
            {"origin": "http://[no-address"},
            {"origin": "http://127.0.0.1:1"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            assert (await http.post("/approve", headers=headers)).status_code == 403, headers
        ours = await http.post("/approve", headers={"origin": HERE, "sec-fetch-site": "same-origin"})
        assert ours.json() == {"who": LOCAL.name, "length": 0}


@pytest.mark.anyio
async def test_an_address_of_version_six_is_answered(workspace: Workspace) -> None:
    for settings in (
        Settings(host="fd00::5", login=True),
        Settings(host="::", login=True, public_url="https://[fd00::5]:8765"),
    ):
        app = create_app(workspace, settings, authenticator=Nobody({}))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE) as http:
            assert (await http.get("/healthz", headers={"host": "[fd00::5]:8765"})).status_code == 200
            assert (await http.get("/healthz", headers={"host": "[fd00::6]:8765"})).status_code == 421
    with pytest.raises(AccessError, match="public address"):
        Settings(login=True, public_url="http://[no-address")


@pytest.mark.anyio
async def test_every_answer_carries_the_security_headers_and_long_bodies_are_cut(workspace: Workspace) -> None:
    async with client(workspace) as http:
        for path in ("/read", "/nothing", "/healthz"):
            answer = await http.get(path)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        fits = await http.post("/approve", content=b"x" * BODY_CAP)
        assert fits.json()["length"] == BODY_CAP
        assert (await http.post("/approve", content=b"x" * (BODY_CAP + 1))).status_code == 413


def test_beyond_the_loopback_a_login_is_needed_and_needs_something_to_check_it(workspace: Workspace) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.com"):  # noqa: S104 - refused, not bound
        with pytest.raises(AccessError, match="--login"):
            Settings(host)
    assert Settings("::1").hosts >= {"localhost"}
    with pytest.raises(AccessError, match="check"):
        create_app(workspace, Settings(login=True))


def test_a_workspace_knows_its_models_again(tmp_path: Path) -> None:
    with Workspace.open(tmp_path / "w") as made:
        registered = made.register(SPEC, at=5, owner="ann")
        assert registered.home == tmp_path / "w" / "models" / "churn"
        with pytest.raises(StoreError, match="already"):
            made.register(SPEC, at=6)
        for name in ("../x", "a/b", "", ".", "a b", "x" * 65, "é"):
            with pytest.raises(SpecError):
                made.register(SPEC.replace("churn", name), at=7)
    with Workspace.open(tmp_path / "w", create=False) as again:
        assert again.models() == (registered,)
    with pytest.raises(StoreError, match="no workspace"):
        Workspace.open(tmp_path / "other", create=False)
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "file").touch()
    with pytest.raises(StoreError, match="'file'"):
        Workspace.open(tmp_path / "strange")


def test_a_home_of_two_models_is_adopted_with_each_as_it_is(tmp_path: Path, loans: Path) -> None:
    """What `pitstop run` remembers is of the model that it was called for last."""
    spec = (loans / "pitstop.toml").read_text(encoding="utf-8")
    for name in ("loans", "others"):
        path = tmp_path / f"{name}.toml"
        path.write_text(spec.replace('"loans"', f'"{name}"'), encoding="utf-8")
        words = ["run", "--spec", str(path), "--source", str(loans / "loans.csv"), "--home", str(tmp_path / "home")]
        assert CliRunner().invoke(app, [*words, "--as-of", "2024-05-01"]).exit_code == 0
    with Workspace.open(tmp_path / "w") as workspace:
        found = {item.name: (item.spec.model.name, item.source) for item in workspace.adopt(tmp_path / "home", at=1)}
        assert found == {"loans": ("loans", ""), "others": ("others", str(loans / "loans.csv"))}
        assert len(workspace.adopt(tmp_path / "home", at=2)) == 2
