"""One batch at a time to a service over HTTP: its answer decides whether to go on, wait, or set the batch aside."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from pitstop.errors import IngestError

SECONDS = 10.0
ARROW = "application/vnd.apache.arrow.stream"
# Answers that another try may change: of a service that is busy or away, and (401, 403, 421) of one that does not take
# this key or this address yet. So are all of 300 to 399 and from 500 on: of a proxy that sends elsewhere, or has no
# service behind it. Every other refusal is about the batch or its model.
_AGAIN = frozenset({401, 403, 408, 421, 425, 429})
_WITHIN, _ELSEWHERE, _FAULT = 200, 300, 500


@dataclass(frozen=True)
class Answer:
    """`taken`: the batch is durable there. `later`: try again after `wait` seconds. `refused`: it never will be.

    `status` is the code of HTTP, 0 where there was no answer.
    """

    outcome: Literal["taken", "later", "refused"]
    detail: str = ""
    wait: float = 0.0
    status: int = 0


class Poster:
    """Posts to the service at `address` (`http://host:8900`); keeps its connection. For one thread.

    `key`: an API key that may bring rows in, empty for none; white space around it is left out. Raises `IngestError`
    for an address or a key that cannot be one.
    """

    def __init__(self, address: str, key: str = "", *, seconds: float = SECONDS) -> None:
        self._parts, self._port = _address(address)
        self._key, self._seconds = key.strip(), seconds
        if not (self._key.isascii() and (not self._key or self._key.isprintable())):
            msg = "the key has signs that no key has; expected the text that was shown when it was made, on one line"
            raise IngestError(msg)
        self._said = str(self._parts.hostname) + (f":{self._port}" if self._port is not None else "")
        self._connection: http.client.HTTPConnection | None = None

    def post(
        self,
        model: str,
        kind: str,
        payload: bytes,
        media: str = ARROW,
        name: str = "",
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Post a batch called `name`, with `more` headers. Never raises for what a network or a service can do."""
        path = f"{quote(self._parts.path.rstrip('/'), safe='/%')}/v1/models/{quote(model, safe='')}/{kind}"
        headers = {**more, "Content-Type": media}
        if name:
            headers["Idempotency-Key"] = name
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            answer, body = self._exchanged(path, payload, headers, again=bool(name))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Answer("later", f"{self._said} does not answer: {error}")
        if answer.will_close:
            self.close()
        if answer.status == HTTPStatus.OK:
            if _is_receipt(body):
                return Answer("taken", status=answer.status)
            # Whatever answers there, it has not kept the rows.
            detail = f"{self._said} answers 200, but not as a service of Pitstop does; check the address"
            return Answer("later", detail, status=answer.status)
        detail = f"{self._said} answers {answer.status}: {_detail(body)}"
        moved = _ELSEWHERE <= answer.status < 400
        if moved:
            place = answer.headers.get("Location", "another address")
            detail = f"{self._said} answers {answer.status} and sends elsewhere ({place[:200]}); use that address"
        if moved or answer.status >= _FAULT or answer.status < _WITHIN or answer.status in _AGAIN:
            stated = answer.headers.get("Retry-After", "")
            return Answer("later", detail, float(stated) if stated.isdecimal() else 0.0, answer.status)
        return Answer("refused", detail, status=answer.status)

    def _exchanged(
        self, path: str, payload: bytes, headers: Mapping[str, str], *, again: bool
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Post, and read the answer; `again`: twice, where the connection was kept and has been ended meanwhile."""
        kept = self._connection is not None
        connection = self._connected()
        try:
            connection.request("POST", path, payload, dict(headers))
            answer = connection.getresponse()
            return answer, answer.read()
        except ConnectionError:
            self.close()
            if not (kept and again):
                raise
        # A service ends connections that are quiet for some seconds; a batch that has a name may come twice.
        return self._exchanged(path, payload, headers, again=False)

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = str(self._parts.hostname), self._port
            if self._parts.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=self._seconds, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=self._seconds)
        return self._connection


def _address(text: str) -> tuple[SplitResult, int | None]:
    """Return the parts of an address, and its port. Raises `IngestError`."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        msg = f"got the address {text!r} ({error}); expected one such as http://localhost:8900"
        raise IngestError(msg) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"got the address {text!r}; expected one such as http://localhost:8900 or https://pitstop.example"
        raise IngestError(msg)
    if "@" in parts.netloc:
        msg = f"the address of {parts.hostname} has a user or a password, which nobody asks for; leave them out"
        raise IngestError(msg)
    return parts, port


def _is_receipt(body: bytes) -> bool:
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return type(found) is dict and type(found.get("rows")) is int


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", errors="replace")
