"""Logging in at a real OpenID Connect provider, a process of its own: code, PKCE, state, nonce, signed tokens."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2 as httpx
import pytest

from pitstop.service.app import create_app
from pitstop.service.auth.oidc import Provider, oidc_routes
from pitstop.service.metrics import Timed
from pitstop.service.settings import Settings

from .conftest import HERE, NOON, Opened

CLAIMS = (
    {"sub": "s-ann", "email": "ann@example.com", "email_verified": True, "groups": ["operator", "staff"]},
    {"sub": "s-eve", "email": "ann@example.com", "email_verified": True, "groups": ["admin"]},
    {"sub": "s-mal", "email": "mal@example.com", "email_verified": False, "groups": ["admin"]},
)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """Start a provider; return how it calls itself."""
    if importlib.util.find_spec("oidc_provider_mock") is None:
        pytest.skip("no identity provider is installed (pip install -r requirements/contract.txt)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    users = [word for claims in CLAIMS for word in ("--user-claims", json.dumps(claims))]
    argv = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true", *users]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration")
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
        process.kill()


def app_of(opened: Opened, provider: Provider) -> Timed:
    settings = Settings(login=True, public_url=HERE)
    pages = oidc_routes(provider, opened.people, opened.workspace.fleet, settings)
    return create_app(opened.workspace, settings, authenticator=opened.credentials, pages=pages)


def browser(app: Timed) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE)


async def at_provider(address: str, subject: str) -> str:
    """Log in at the provider as a person does, and return the path that it sends the browser back to."""
    async with httpx.AsyncClient() as http:
        page = await http.get(address)
        assert page.status_code == 200, page.text
        answer = await http.post(address, data={"sub": subject})
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}" == HERE
    return f"{back.path}?{back.query}"


@pytest.mark.anyio
async def test_a_login_at_the_provider_gives_a_session_with_its_roles(opened: Opened, issuer: str) -> None:
    provider = Provider(issuer, "pitstop", "secret", roles_claim="groups")
    async with browser(app_of(opened, provider)) as http:
        begun = await http.get("/login/oidc", params={"next": "/readyz"})
        asked = parse_qs(urlsplit(begun.headers["location"]).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert len(asked["nonce"][0]) > 32
        back = await at_provider(begun.headers["location"], "s-ann")
        entered = await http.get(back)
        assert (entered.status_code, entered.headers["location"]) == (303, "/readyz"), entered.text
        assert (await http.get("/readyz")).json()["parts"] != {}
        again = await http.get(back)
        assert again.status_code == 403, "a code was taken twice"
    found = {user.name: user.roles for user in opened.people.users()}
    assert found == {"ann@example.com": frozenset({"operator"})}


@pytest.mark.anyio
async def test_who_is_somebody_else_or_unverified_or_did_not_begin_here_stays_out(opened: Opened, issuer: str) -> None:
    app = app_of(opened, Provider(issuer, "pitstop", "secret"))

    async def enter(subject: str, *, same_browser: bool = True) -> httpx.Response:
        async with browser(app) as http:
            begun = await http.get("/login/oidc")
            back = await at_provider(begun.headers["location"], subject)
            if same_browser:
                return await http.get(back)
        async with browser(app) as other:
            return await other.get(back)

    assert (await enter("s-ann", same_browser=False)).status_code == 403
    assert (await enter("s-ann")).status_code == 303
    assert (await enter("s-eve")).status_code == 403
    assert (await enter("s-mal")).status_code == 403
    opened.people.add("root", "a long pass phrase", ["admin"], NOON)
    opened.people.set_active("ann@example.com", active=False)
    assert (await enter("s-ann")).status_code == 403
    async with browser(app) as http:
        for query in ("", "?state=x&code=y", "?error=access_denied"):
            assert (await http.get(f"/login/oidc/callback{query}")).status_code == 403


@pytest.mark.anyio
async def test_a_token_for_another_client_or_of_another_issuer_is_refused(opened: Opened, issuer: str) -> None:
    for provider in (
        Provider(f"{issuer}/", "pitstop", "secret"),
        Provider(issuer, "pitstop", "secret", name_claim="preferred_username"),
        Provider(issuer, "pitstop", "secret", roles_claim="nothing"),
    ):
        async with browser(app_of(opened, provider)) as http:
            begun = await http.get("/login/oidc")
            if begun.status_code != 303:
                assert begun.status_code == 403
                continue
            answer = await http.get(await at_provider(begun.headers["location"], "s-ann"))
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert opened.people.users() == ()


@pytest.mark.anyio
async def test_a_provider_that_refuses_the_code_or_is_away_is_no_fault_of_the_service(
    opened: Opened, issuer: str
) -> None:
    async with browser(app_of(opened, Provider(issuer, "pitstop", "secret"))) as http:
        begun = await http.get("/login/oidc")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        answer = await http.get("/login/oidc/callback", params={"state": state, "code": "made up"})
        assert (answer.status_code, "set-cookie" in answer.headers) == (502, False), answer.text
    async with browser(app_of(opened, Provider("http://127.0.0.1:1", "pitstop", "secret"))) as http:
        assert (await http.get("/login/oidc")).status_code == 502


@pytest.mark.anyio
@pytest.mark.parametrize(("said", "status"), [("[]", 403), ("{}", 403), ('{"issuer": "ISSUER"}', 502), ("<p>", 502)])
async def test_what_is_no_provider_is_no_fault_of_the_service(opened: Opened, said: str, status: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = said.replace("ISSUER", address).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        async with browser(app_of(opened, Provider(address, "pitstop", "secret"))) as http:
            assert (await http.get("/login/oidc")).status_code == status
        server.shutdown()
