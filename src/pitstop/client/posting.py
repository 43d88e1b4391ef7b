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
from urllib.parse import quote, urlsplit

from pitstop.errors import IngestError

SECONDS = 10.0
ARROW = "application/vnd.apache.arrow.stream"
# Answers that another try may change: of a service that is busy or away, and (401, 403, 421) of one that does not take
# this key or this address yet. Every other refusal is about the batch or its model.
_AGAIN = frozenset({401, 403, 408, 421, 425, 429, 500, 502, 503, 504})


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

    `key`: an API key that may bring rows in, empty for none.
    """

    def __init__(self, address: str, key: str = "", *, seconds: float = SECONDS) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            msg = f"got the address {address!r}; expected one such as http://localhost:8900 or https://pitstop.example"
            raise IngestError(msg)
        self._parts, self._key, self._seconds = parts, key, seconds
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
        path = f"{self._parts.path.rstrip('/')}/v1/models/{quote(model, safe='')}/{kind}"
        headers = {**more, "Content-Type": media}
        if name:
            headers["Idempotency-Key"] = name
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            connection = self._connected()
            connection.request("POST", path, payload, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer("later", f"{self._parts.netloc} does not answer: {error}")
        if answer.status == HTTPStatus.OK:
            return Answer("taken", status=answer.status)
        if answer.will_close:
            self.close()
        detail = f"{self._parts.netloc} answers {answer.status}: {_detail(body)}"
        if answer.status in _AGAIN:
            stated = answer.headers.get("Retry-After", "")
            return Answer("later", detail, float(stated) if stated.isdigit() else 0.0, answer.status)
        return Answer("refused", detail, status=answer.status)

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            host, port = str(self._parts.hostname), self._parts.port
            if self._parts.scheme == "https":
                context = ssl.create_default_context()
                self._connection = http.client.HTTPSConnection(host, port, timeout=self._seconds, context=context)
            else:
                self._connection = http.client.HTTPConnection(host, port, timeout=self._seconds)
        return self._connection


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", errors="replace")
