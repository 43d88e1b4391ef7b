"""One operation of the API, what it is called with, and how the table of them becomes routes."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pitstop.service.api.repeating import Repeats
from pitstop.service.api.streamed import Streamed, streamed
from pitstop.service.auth.actor import READERS, Actor, actor_of
from pitstop.service.auth.credentials import Credentials
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.auth.rules import requires_by_method
from pitstop.service.elsewhere.trainings import FOLDER
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.jobs.asking import Asking
from pitstop.service.problems import problem
from pitstop.service.workspace import Registered, Workspace

Method = Literal["GET", "POST", "PATCH", "DELETE"]
IDEMPOTENCY = "idempotency-key"
_KEY = re.compile(r"[!-~]{1,200}")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No query parameters."""


class Page(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a list: what follows `cursor`, as the part before it said, and how many."""

    cursor: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


@dataclass(frozen=True)
class Service:
    """What operations work with; `changed` is called with a model about which something was said.

    `inbox` takes rows in; without it there is no quarantine.
    """

    workspace: Workspace
    jobs: Asking
    people: People
    keys: Keys
    credentials: Credentials
    clock: Callable[[], int]
    changed: Callable[[str], None] = lambda _: None
    inbox: Inbox | None = None


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
        return self.actor.person


@dataclass(frozen=True)
class Operation:
    """One line of the table. `handle` runs in a thread; what it returns is the answer's body.

    A `POST` may carry an Idempotency-Key: the same key with the same body is answered as it was the first time, unless
    the answer holds a `secret`. `takes` and `gives` are the media types of a body and of an answer that are files: the
    body is then `Streamed`, the answer bytes.
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
    secret: bool = False
    takes: str = ""
    gives: str = ""

    @property
    def summary(self) -> str:
        """What it does: as `says`, else the docstring of what handles it."""
        return self.says or inspect.getdoc(self.handle) or ""


def routes_of(operations: tuple[Operation, ...], service: Service) -> list[Route]:
    """Return a route for each path, which answers the methods of all its operations."""
    repeats = Repeats(service.workspace.fleet, service.clock)
    by_path: dict[str, dict[str, Operation]] = {}
    for item in operations:
        by_path.setdefault(item.path, {})[item.method] = item
    return [Route(path, _endpoint(items, service, repeats), methods=list(items)) for path, items in by_path.items()]


def _endpoint(
    items: dict[str, Operation], service: Service, repeats: Repeats
) -> Callable[[Request], Awaitable[Response]]:
    @requires_by_method({method: item.roles for method, item in items.items()})
    async def answer(request: Request) -> Response:
        return await _called(items["GET" if request.method == "HEAD" else request.method], service, repeats, request)

    return answer


async def _called(item: Operation, service: Service, repeats: Repeats, request: Request) -> Response:
    if item.takes:
        async with streamed(request, service.workspace.path / FOLDER) as file:
            return await _read(item, service, repeats, request, file.digest.encode(), file)
    return await _read(item, service, repeats, request, await request.body(), None)


async def _read(
    item: Operation, service: Service, repeats: Repeats, request: Request, raw: bytes, file: Streamed | None
) -> Response:
    """Answer a request whose body has come: as `raw`, or as a file of which `raw` is the digest."""
    body: Any = file
    try:
        query = _query(item, request)
        if item.body is not None:
            body = msgspec.convert(_whole(msgspec.json.decode(raw)), item.body)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return problem(422, f"the request is not what was expected: {error}")
    call = Call(service, actor_of(request.scope), dict(request.path_params), query, body, request)
    key = request.headers.get(IDEMPOTENCY) if item.method == "POST" else None
    if key is None:
        return await asyncio.to_thread(_answered, item, call)
    if not _KEY.fullmatch(key):
        return problem(422, f"the Idempotency-Key has {len(key)} characters; expected 1 to 200 from '!' to '~'")
    seen = hashlib.sha256(f"{item.name}\0{request.url.path}\0{request.url.query}\0".encode() + raw).hexdigest()
    name = f"{call.actor.name}\0{key}"
    return await asyncio.to_thread(repeats.once, name, seen, lambda: _answered(item, call), secret=item.secret)


def _whole(value: Any) -> Any:
    """Return plain JSON with 1.0 as 1: to JSON Schema both are integers, and no body has a field of floats."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _query(item: Operation, request: Request) -> Any:
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        msg = "a query parameter is given twice"
        raise msgspec.ValidationError(msg)
    return msgspec.convert(dict(request.query_params), item.query, strict=False)


def _answered(item: Operation, call: Call) -> Response:
    found = item.handle(call)
    if item.status == 204:
        return Response(status_code=204)
    if item.gives:
        return Response(found, item.status, media_type=item.gives)
    return Response(msgspec.json.encode(found), item.status, media_type="application/json")
