"""Logging in at an identity provider: OpenID Connect, authorization code with PKCE (RFC 7636), state and nonce.

The token's signature is checked against the provider's own keys, and issuer, audience, nonce and times are. Where a
login has begun is kept here under a digest, and the browser that began it is told apart by a cookie.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import sqlalchemy as sa
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pitstop.errors import AccessError
from pitstop.service.auth.actor import ROLES
from pitstop.service.auth.credentials import now
from pitstop.service.auth.forms import entered, local_path
from pitstop.service.auth.people import People
from pitstop.service.auth.secrets import digest_of
from pitstop.service.fleet import FLEET, Fleet
from pitstop.service.problems import problem
from pitstop.service.settings import Settings

COOKIE = "pitstop_login"
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
_LOGIN_MICROSECONDS = 10 * 60 * 1_000_000
_TIMEOUT_SECONDS = 10.0
_LOGINS = FLEET.tables["logins"]


@dataclass(frozen=True)
class Provider:
    """An identity provider and how this service is known there.

    `name_claim` becomes the user's name; `email` only if the provider says that it was verified. `roles_claim`, if
    given, holds a list in which the names of our roles count and others do not.
    """

    issuer: str
    client_id: str
    client_secret: str
    name_claim: str = "email"
    roles_claim: str = ""

    @property
    def name(self) -> str:
        """What people see."""
        return urlsplit(self.issuer).hostname or self.issuer


def oidc_routes(provider: Provider, people: People, fleet: Fleet, settings: Settings) -> list[Route]:
    """Return where a login begins and where the provider sends the browser back to. Needs a public address."""
    if not settings.public_url:
        msg = "an identity provider has to know where to send people back to: name --public-url"
        raise AccessError(msg)
    back = settings.public_url.rstrip("/") + "/login/oidc/callback"

    def client() -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            provider.client_id,
            provider.client_secret or None,
            scope="openid email profile",
            redirect_uri=back,
            code_challenge_method="S256",
            timeout=_TIMEOUT_SECONDS,
        )

    async def begin(request: Request) -> Response:
        try:
            known = await _discovered(provider)
            where = str(known["authorization_endpoint"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            return _unusable(error)
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        there = local_path(request.query_params.get("next", "/"))
        await asyncio.to_thread(_keep, fleet, state, nonce, verifier, there)
        async with client() as http:
            address, _ = http.create_authorization_url(where, state=state, nonce=nonce, code_verifier=verifier)
        answer = RedirectResponse(address, 303)
        answer.set_cookie(COOKIE, state, 600, path="/login", httponly=True, secure=settings.secure, samesite="lax")
        return answer

    async def callback(request: Request) -> Response:
        state = request.query_params.get("state", "")
        begun = await asyncio.to_thread(_take, fleet, state)
        if begun is None or not secrets.compare_digest(state.encode(), request.cookies.get(COOKIE, "").encode()):
            return problem(403, "this login was not begun in this browser, or too long ago; begin again at /login")
        code = request.query_params.get("code", "")
        if not code:
            return problem(403, "the identity provider did not let you in")
        try:
            known = await _discovered(provider)
            async with client() as http:
                token = await http.fetch_token(known["token_endpoint"], code=code, code_verifier=begun.verifier)
            claims = await _claims(provider, known, str(token.get("id_token", "")), begun.nonce)
            name, roles = _person(provider, claims)
            subject = hashlib.sha256(f"{provider.issuer} {claims['sub']}".encode()).hexdigest()
            session = await asyncio.to_thread(people.begin_trusted, name, subject, roles, now())
        except (httpx.HTTPError, AuthlibBaseError, JoseError, KeyError, ValueError) as error:
            return _unusable(error)
        except AccessError as error:
            return problem(403, str(error))
        answer = entered(session, begun.next, settings)
        answer.delete_cookie(COOKIE, path="/login")
        return answer

    return [Route("/login/oidc", begin), Route("/login/oidc/callback", callback)]


def _unusable(error: Exception) -> Response:
    return problem(502, f"the identity provider's answer cannot be used ({type(error).__name__})")


async def _discovered(provider: Provider) -> Mapping[str, Any]:
    """Return what the provider says of itself."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as http:
        answer = await http.get(provider.issuer.rstrip("/") + "/.well-known/openid-configuration")
        found = answer.raise_for_status().json()
    if not isinstance(found, dict):
        msg = f"{provider.issuer} does not say what it is in a JSON object; check the address of the identity provider"
        raise AccessError(msg)
    if found.get("issuer") != provider.issuer:
        msg = f"{provider.issuer} calls itself {found.get('issuer')!r}; name the issuer as it calls itself"
        raise AccessError(msg)
    return found


async def _claims(provider: Provider, known: Mapping[str, Any], token: str, nonce: str) -> dict[str, Any]:
    """Return the claims of an ID token after everything about it was checked. Raises `JoseError`."""
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as http:
        keys = (await http.get(known["jwks_uri"])).raise_for_status().json()
    found = jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS)
    asked = jwt.JWTClaimsRegistry(
        now=int(time.time()),
        leeway=60,
        iss={"essential": True, "value": provider.issuer},
        aud={"essential": True, "value": provider.client_id},
        exp={"essential": True},
        iat={"essential": True},
        sub={"essential": True},
        nonce={"essential": True, "value": nonce},
    )
    asked.validate(found.claims)
    audience = found.claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and found.claims.get("azp") != provider.client_id:
        msg = "the token is for several audiences, and was not issued to us"
        raise AccessError(msg)
    return dict(found.claims)


def _person(provider: Provider, claims: Mapping[str, Any]) -> tuple[str, list[str] | None]:
    name = claims.get(provider.name_claim)
    if not isinstance(name, str) or not name:
        msg = f"the identity provider does not say the claim {provider.name_claim!r}"
        raise AccessError(msg)
    if provider.name_claim == "email" and claims.get("email_verified") is not True:
        msg = "the identity provider has not verified this mail address"
        raise AccessError(msg)
    if not provider.roles_claim:
        return name, None
    given = claims.get(provider.roles_claim)
    roles = [role for role in ROLES if isinstance(given, list) and role in given]
    if not roles:
        msg = f"the claim {provider.roles_claim!r} gives you none of the roles {', '.join(ROLES)}; ask an admin"
        raise AccessError(msg)
    return name, roles


def _keep(fleet: Fleet, state: str, nonce: str, verifier: str, there: str) -> None:
    row = {"digest": digest_of(state), "nonce": nonce, "verifier": verifier, "next": there}
    with fleet.write() as connection:
        connection.execute(_LOGINS.delete().where(_LOGINS.c.expires <= now()))
        connection.execute(_LOGINS.insert(), row | {"expires": now() + _LOGIN_MICROSECONDS})


def _take(fleet: Fleet, state: str) -> Any:
    """Return a login that was begun, and forget it: a code is good for one use."""
    there = (_LOGINS.c.digest == digest_of(state)) & (_LOGINS.c.expires > now())
    with fleet.write() as connection:
        found = connection.execute(sa.select(_LOGINS).where(there)).one_or_none()
        connection.execute(_LOGINS.delete().where(there))
    return found
