"""The ASGI application of `POST /v1/models/{model}/predictions`, `/labels` and `/events`; raw: the busy path.

Who may call it is decided before it is called; it takes the name of `scope["state"]["actor"]` where there is one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

from pitstop.errors import (
    IngestError,
    OverloadedError,
    PitstopError,
    RecordError,
    SpecError,
    StoreUnavailableError,
    TooLargeError,
    UnknownNameError,
    UnreadableTableError,
)
from pitstop.service.ingest.batch import Batch, Kind, Receipt
from pitstop.service.ingest.formats import MEDIA_TYPES
from pitstop.service.ingest.inbox import Inbox
from pitstop.service.ingest.sagemaker import SAGEMAKER
from pitstop.service.ingest.translating import translates, translation

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

PREFIX = "/v1/models/"
KINDS = ("predictions", "labels", "events")
_JSON = (b"content-type", b"application/json")
_PROBLEM = (b"content-type", b"application/problem+json")
_RETRY_SECONDS = 5


def handles(path: str) -> bool:
    """Return whether a request path is one of this application's."""
    return path.startswith(PREFIX) and path.rpartition("/")[2] in KINDS


def ingest_app(inbox: Inbox) -> Application:
    """Return the application that puts what is posted into `inbox`.

    200: `{"rows": n}`, and the batch is durable. The header `Idempotency-Key` names the batch; the same name again is
    stored once. `/events` takes a CloudEvent of KServe's or Seldon's logger.

    Errors are `application/problem+json` with `title`, `status` and `detail`: 400 and 422 for a body that
    is not of its format or holds what no row may hold, 404 for an unknown model, 413 for a limit, 415 for a format that
    is not known, 429 with `Retry-After` where more came than can be stored, 503 with it where the disk refuses.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            found = await _take(inbox, scope, receive)
        except PitstopError as error:
            found = _refusal_of(error)
        if isinstance(found, Receipt):
            await _answer(send, 200, b'{"rows":%d}' % found.rows, _JSON)
        elif found is not None:
            content = {"type": "about:blank", "title": HTTPStatus(found.status).phrase, "status": found.status}
            body = json.dumps({**content, "detail": found.detail}).encode()
            await _answer(send, found.status, body, _PROBLEM, *found.headers)

    return application


@dataclass(frozen=True)
class _Refusal:
    """The answer to a request that never becomes a batch."""

    status: int
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def _take(inbox: Inbox, scope: Scope, receive: Receive) -> Receipt | _Refusal | None:
    """Return the receipt, or why there is none; None where the sender hung up before the body was there."""
    model, _, kind = scope["path"][len(PREFIX) :].rpartition("/")
    if kind not in KINDS or not scope["path"].startswith(PREFIX):
        return _Refusal(404, "there is nothing here; post to /v1/models/{model}/predictions, /labels or /events")
    if scope["method"] != "POST":
        return _Refusal(405, f"got {scope['method']}; only POST is taken here", ((b"allow", b"POST"),))
    headers = dict(scope["headers"])
    limits = inbox.limits
    payload = await _body(headers, receive, limits.body_bytes)
    if not isinstance(payload, bytes):
        return payload
    actor = (scope.get("state") or {}).get("actor")
    by = str(getattr(actor, "name", "")) if actor is not None else ""
    name = _batch_id(headers, scope.get("query_string", b""))
    if len(name) > limits.id_length:
        return _Refusal(400, f"the batch's id has {len(name)} characters; at most {limits.id_length} are taken")
    if not name.isprintable():
        return _Refusal(400, f"the batch's id {name!r} has characters that are not printable; ids are printable text")
    return await _accepted(inbox, unquote(model), kind, headers, payload, name, by)


async def _accepted(
    inbox: Inbox, model: str, kind: Kind, headers: Mapping[bytes, bytes], payload: bytes, name: str, by: str
) -> Receipt | _Refusal:
    if translates(kind, headers):
        return await translation(inbox, model, kind, headers, payload, name=name, by=by)
    stated = headers.get(b"content-type", b"").decode("latin-1")
    form = MEDIA_TYPES.get(stated) or MEDIA_TYPES.get(stated.partition(";")[0].strip().lower())
    if form is None:
        known = ", ".join(dict.fromkeys((*MEDIA_TYPES, SAGEMAKER)))
        return _Refusal(415, f"got the content type {stated or '(none)'!r}; known: {known}")
    return await inbox.accept(Batch(model, kind, form, payload, name, by))


async def _body(headers: Mapping[bytes, bytes], receive: Receive, most: int) -> bytes | _Refusal | None:
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b""):
        said = encoding.decode("latin-1")
        return _Refusal(415, f"the body is encoded as {said!r}; send it as it is (Parquet is small by itself)")
    stated = headers.get(b"content-length", b"0")
    too_large = _Refusal(413, f"the body has more than {most:,} bytes; send it in parts")
    if not stated.isdigit() or int(stated) > most:
        return too_large
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            return too_large
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _batch_id(headers: Mapping[bytes, bytes], query: bytes) -> str:
    stated = headers.get(b"idempotency-key")
    if stated is not None:
        return stated.decode("utf-8", errors="replace").strip()
    if query:
        return next(iter(parse_qs(query.decode("latin-1")).get("batch", [])), "")
    return ""


_STATUSES: tuple[tuple[type[PitstopError], int], ...] = (
    (UnknownNameError, 404),
    (TooLargeError, 413),
    (UnreadableTableError, 400),
    (RecordError, 422),
    (SpecError, 422),
    (OverloadedError, 429),
    (IngestError, 503),
    (StoreUnavailableError, 503),
)


def _refusal_of(error: PitstopError) -> _Refusal:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    wait = error.retry_after if isinstance(error, OverloadedError) else _RETRY_SECONDS
    return _Refusal(status, str(error), ((b"retry-after", b"%d" % wait),) if status in (429, 503) else ())


async def _answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
