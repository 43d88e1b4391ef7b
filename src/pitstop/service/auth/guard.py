"""The outermost layer: nothing behind it is reached by anybody who is not known and allowed.

Raw ASGI, so that neither a route nor a mounted application can be forgotten: what is not on the short list of public
addresses needs an actor, what declares no roles is read by every role and written by nobody. It also refuses hosts
that are not ours (DNS rebinding), requests that other sites make a browser send (CSRF), and bodies that are too long.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match

from pitstop.errors import StoreError
from pitstop.service.auth.actor import INGEST, Actor
from pitstop.service.auth.rules import SAFE, roles_for
from pitstop.service.problems import problem
from pitstop.service.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Without any of these nobody could log in, and no probe could tell whether the process lives.
PUBLIC = re.compile(
    r"/(healthz|readyz|login|login/style\.css|login/oidc|login/oidc/callback|setup|static/[A-Za-z0-9._/-]+)\Z"
)
INGEST_PATH = re.compile(r"/v1/models/([^/]+)/(predictions|labels|events)\Z")
INGEST_ROLES = frozenset({INGEST, "data_scientist", "operator"})
BODY_CAP = 1 << 20
# Models that were trained elsewhere: their bytes go to the disk as they come.
MODEL_PATH = re.compile(r"/v1/models/[^/]+/challengers\Z")
MODEL_CAP = 1 << 30
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_LOG = logging.getLogger(__name__)


class Authenticator(Protocol):
    """Knows who a request comes from."""

    def actor(self, scope: Scope, headers: Headers) -> Actor | None:
        """Return whose credentials these are; None where there are none, or they are wrong."""


@dataclass(frozen=True)
class Guard:
    """The application as the server sees it. `ingest` is called for rows, past the router, for speed.

    `known` tells whether a model is registered.
    """

    inner: App
    routes: list[BaseRoute]
    authenticator: Authenticator
    settings: Settings
    known: Callable[[str], bool]
    ingest: App | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self.inner(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            refusal, app = self._judge(scope, headers)
        except StoreError as error:
            # Nothing more is said to whom nobody knows; the log and /readyz say it to those who are.
            _LOG.warning("the catalog cannot be asked: %s", error)
            away = "the service cannot ask its catalog at the moment; send this again"
            refusal, app = problem(503, away, {"Retry-After": "2"}), None
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if app is self.ingest and app is not None:
            await app(scope, receive, send)  # counts its own bytes
            return
        cap = MODEL_CAP if MODEL_PATH.match(scope["path"]) else BODY_CAP
        await self.inner(scope, _capped(receive, cap), send)

    def _judge(self, scope: Scope, headers: Headers) -> tuple[Response | None, App | None]:
        host = headers.get("host", "").lower()
        if re.sub(r":\d+\Z", "", host) not in self.settings.hosts:
            return problem(421, f"this service does not answer for the host {host[:100]!r}"), None
        path, method = scope["path"], scope["method"]
        public = PUBLIC.match(path) is not None
        actor = self._actor(scope, headers, public=public)
        if actor is None and not public:
            return self._unknown(scope, headers), None
        if method not in SAFE and (actor is None or actor.via in {"session", "local"}):
            strange = _other_site(headers, host)
            if strange:
                return problem(403, f"a page of another site ({strange[:100]}) sent this request"), None
        if actor is not None:
            scope.setdefault("state", {})["actor"] = actor
        if public:
            return None, self.inner
        assert actor is not None  # noqa: S101 - answered above; for the type checker
        found = INGEST_PATH.match(path) if method == "POST" and self.ingest is not None else None
        if found is not None:
            return _may(actor, INGEST_ROLES, found[1]), self.ingest
        return self._routed(scope, actor, method), self.inner

    def _actor(self, scope: Scope, headers: Headers, *, public: bool) -> Actor | None:
        try:
            return self.authenticator.actor(scope, headers)
        except StoreError:
            if not public:
                raise
            return None  # /readyz answers all the same

    def _routed(self, scope: Scope, actor: Actor, method: str) -> Response | None:
        for route in self.routes:
            match, child = route.matches(scope)
            if match is Match.FULL:
                roles = roles_for(child.get("endpoint"), method)
                model = child.get("path_params", {}).get("model")
                if model is not None and not self.known(model):
                    return _no_model(model)
                return _may(actor, roles, model)
        # The router says 404 or 405, and nothing is called.
        return None

    def _unknown(self, scope: Scope, headers: Headers) -> Response:
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            there = scope["path"] + (f"?{query}" if query else "")
            return RedirectResponse(f"/login?next={quote(there, safe='')}", 303)
        detail = "give a valid API key as `Authorization: Bearer KEY`, or log in"
        return problem(401, detail, {"WWW-Authenticate": 'Bearer realm="pitstop"'})


def _no_model(model: str) -> Response:
    """Return the answer for a model that nobody registered, and word for word for one that the caller may not see."""
    return problem(404, f"no model {model[:100]!r} is registered here; register it, or check the name")


def _may(actor: Actor, roles: frozenset[str], model: str | None) -> Response | None:
    if model is not None and not actor.sees(model):
        return _no_model(model)
    if not actor.may(roles):
        needed = ", ".join(sorted(roles)) or "nobody may"
        return problem(403, f"{actor.name} has the roles {', '.join(sorted(actor.roles))}; this needs: {needed}")
    return None


def _other_site(headers: Headers, host: str) -> str:
    """Return the site that made a browser send this; empty where it was ours, or no browser."""
    origin = headers.get("origin")
    if origin is not None:
        return "" if origin.lower().partition("://")[2] == host else origin
    site = headers.get("sec-fetch-site", "none")
    return "" if site in {"none", "same-origin"} else site


def _capped(receive: Receive, cap: int) -> Receive:
    """Return what hands a body on, and refuses it as soon as more than `cap` bytes have come."""
    came = 0

    async def counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        if came > cap:
            raise HTTPException(413, f"the body is longer than {cap:,} bytes")
        return message

    return counted


def _with_headers(send: Send) -> Send:
    """Add the security headers that an answer does not set itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = list(message.get("headers", []))
            there = {bytes(name).lower() for name, _ in given}
            given += [(name.encode(), text.encode()) for name, text in HEADERS.items() if name.encode() not in there]
            message["headers"] = given
        await send(message)

    return sending
