"""Knows who a request comes from: an API key in `Authorization`, or the session of a cookie."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from pitstop.service.auth.actor import LOCAL, Actor
from pitstop.service.auth.guard import Scope
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People

COOKIE = "pitstop_session"
# How long a checked credential is believed without asking again: rows come in thousands a second, and a key that is
# revoked in another process is refused everywhere after this long.
BELIEVED_SECONDS = 2.0
_REMEMBERED = 10_000

Clock = Callable[[], int]


def now() -> int:
    """Return the present instant in microseconds since 1970."""
    return time.time_ns() // 1_000


class Credentials:
    """The authenticator of a service: of its `keys` and its `people`; `open_to_local` needs no credentials at all.

    Credentials that are given and wrong are never overlooked: they are nobody's, on the loopback too.
    """

    def __init__(self, people: People, keys: Keys, *, open_to_local: bool = False, clock: Clock = now) -> None:
        self._people = people
        self._keys = keys
        self._open = open_to_local
        self._clock = clock
        self._believed: dict[str, tuple[float, Actor | None]] = {}
        self._turn = threading.Lock()

    def actor(self, scope: Scope, headers: Headers) -> Actor | None:
        """Return whose credentials these are; None where there are none, or they are wrong."""
        del scope
        given = headers.get("authorization")
        if given is not None:
            kind, _, text = given.partition(" ")
            return self._asked("key", text.strip(), self._keys.actor) if kind.lower() == "bearer" else None
        session = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if session:
            found = self._asked("session", session, self._people.actor)
            if found is not None or not self._open:
                return found
        return LOCAL if self._open else None

    def forget(self) -> None:
        """Ask again about everybody: somebody's password, roles or key has changed."""
        with self._turn:
            self._believed = {}

    def _asked(self, kind: str, text: str, ask: Callable[[str, int], Actor | None]) -> Actor | None:
        name, at = f"{kind} {text}", time.monotonic()
        known = self._believed.get(name)
        if known is not None and known[0] > at:
            return known[1]
        found = ask(text, self._clock())
        with self._turn:
            if len(self._believed) >= _REMEMBERED:
                self._believed = {}
            self._believed[name] = (at + BELIEVED_SECONDS, found)
        return found
