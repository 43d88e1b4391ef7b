"""One operation of the API, what it is called with, and how the table of them becomes routes."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pitstop.service.api.repeating import Repeats
from pitstop.service.auth.actor import READERS, Actor, actor_of
from pitstop.service.auth.credentials import Credentials
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.auth.rules import requires
from pitstop.service.jobs.queue import Jobs
from pitstop.service.problems import problem
from pitstop.service.workspace import Registered, Workspace

Method = Literal["GET", "POST", "PATCH", "DELETE"]
IDEMPOTENCY = "idempotency-key"
_LONGEST_KEY = 200


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameters."""


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list: what follows `cursor`, as the part before it said, and how many."""

    cursor: str = ""
    limit: int = msgspec.field(default=50)


@dataclass(frozen=True)
class Service:
    """What operations work with."""

    workspace: Workspace
    jobs: Jobs
    people: People
    keys: Keys
    credentials: Credentials
    clock: Callable[[], int]


@dataclass(frozen=True)
class Call:
    """One call of an operation. `body` and `query` are of the types that the operation declares."""

    service: Service
    actor: Actor
    path: dict[str, str]
    query: Any
    body: Any
    request: Request

    @property
    def model(self) -> Registered:
        """The model that the address names. Raises `UnknownNameError`."""
        return self.service.workspace.model(self.path["model"])

    @property
    def person(self) -> str:
        """Who is behind it: the maker of a key, or the user."""
        return self.actor.name.partition("/")[0]


@dataclass(frozen=True)
class Operation:
    """One line of the table. `handle` runs in a thread; what it returns is the answer's body.

    A `POST` may carry an Idempotency-Key: the same key with the same body is answered as it was the first time.
    """

    name: str
    method: Method
    path: str
    handle: Callable[[Call], Any]
    answer: Any
    roles: frozenset[str] = READERS
    body: Any = None
    query: Any = Nothing
    status: int = 200
    says: str = ""

    @property
    def summary(self) -> str:
        """What it does: as `says`, else the docstring of what handles it."""
        return self.says or inspect.getdoc(self.handle) or ""


def routes_of(operations: tuple[Operation, ...], service: Service) -> list[Route]:
    """Return a route for each operation."""
    repeats = Repeats(service.workspace.fleet, service.clock)
    return [
        Route(item.path, _endpoint(item, service, repeats), methods=[item.method], name=item.name)
        for item in operations
    ]


def _endpoint(item: Operation, service: Service, repeats: Repeats) -> Callable[[Request], Awaitable[Response]]:
    body_decoder = msgspec.json.Decoder(item.body) if item.body is not None else None

    @requires(*item.roles)
    async def answer(request: Request) -> Response:
        raw = await request.body()
        try:
            query = _query(item, request)
            body = body_decoder.decode(raw) if body_decoder is not None else None
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            return problem(422, f"the request is not what was expected: {error}")
        call = Call(service, actor_of(request.scope), dict(request.path_params), query, body, request)
        key = request.headers.get(IDEMPOTENCY) if item.method == "POST" else None
        if key is None:
            return await asyncio.to_thread(_answered, item, call)
        if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
            return problem(
                422, f"the Idempotency-Key has {len(key)} characters; expected 1 to {_LONGEST_KEY} printable"
            )
        seen = hashlib.sha256(f"{item.name}\0{request.url.path}\0{request.url.query}\0".encode() + raw).hexdigest()
        return await asyncio.to_thread(repeats.once, f"{call.actor.name}\0{key}", seen, lambda: _answered(item, call))

    return answer


def _query(item: Operation, request: Request) -> Any:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        msg = "a query parameter is given twice"
        raise msgspec.ValidationError(msg)
    found = msgspec.convert(dict(request.query_params), item.query, strict=False)
    if isinstance(found, Page) and not 1 <= found.limit <= 200:
        msg = f"Expected `limit` from 1 to 200, got {found.limit}"
        raise msgspec.ValidationError(msg)
    return found


def _answered(item: Operation, call: Call) -> Response:
    found = item.handle(call)
    if item.status == 204:
        return Response(status_code=204)
    return Response(msgspec.json.encode(found), item.status, media_type="application/json")
