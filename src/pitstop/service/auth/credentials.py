"""Knows who a request comes from: an API key in `Authorization`, or the session of a cookie."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from pitstop.errors import StoreError
from pitstop.service.auth.actor import LOCAL, Actor
from pitstop.service.auth.guard import Scope
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.auth.secrets import prefix_of

COOKIE = "pitstop_session"
# How long a checked credential is believed without asking again: rows come in thousands a second, and a key that is
# revoked in another process is refused everywhere after this long.
BELIEVED_SECONDS = 2.0
# While the catalog is away, a key that was good is believed for this long: a restart of the database stops no rows.
BELIEVED_AWAY_SECONDS = 60.0
_REMEMBERED = 10_000

Clock = Callable[[], int]


def now() -> int:
    """Return the present instant in microseconds since 1970."""
    return time.time_ns() // 1_000


@dataclass(frozen=True)
class _Belief:
    """Whose key it is, until when that is believed, and when it was found out; seconds of a clock that only goes on."""

    until: float
    checked: float
    actor: Actor | None


class Credentials:
    """The authenticator of a service: of its `keys` and its `people`; `open_to_local` needs no credentials at all.

    A key that is given and wrong is never overlooked: it is nobody's, on the loopback too. A session that is over is as
    none: a browser keeps sending the cookie of another service on the same host.
    """

    def __init__(self, people: People, keys: Keys, *, open_to_local: bool = False, clock: Clock = now) -> None:
        self._people = people
        self._keys = keys
        self._open = open_to_local
        self._clock = clock
        self._believed: dict[str, _Belief] = {}
        self._turn = threading.Lock()

    def actor(self, scope: Scope, headers: Headers) -> Actor | None:
        """Return whose credentials these are; None where there are none, or they are wrong.

        Raises `StoreError` where the catalog cannot be asked.
        """
        del scope
        given = headers.get("authorization")
        if given is not None:
            kind, _, text = given.partition(" ")
            return self._asked(text.strip()) if kind.lower() == "bearer" else None
        session = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if session:
            # Not believed for a while: whoever logs out is out, in every process of the service.
            found = self._people.actor(session, self._clock())
            if found is not None or not self._open:
                return found
        return LOCAL if self._open else None

    def forget(self) -> None:
        """Ask again about everybody: somebody's password, roles or key has changed."""
        with self._turn:
            self._believed = {}

    def _asked(self, text: str) -> Actor | None:
        if prefix_of(text) is None:
            return None  # nobody's, and not remembered: whoever sends what is no key may send much of it
        at = time.monotonic()
        known = self._believed.get(text)
        if known is not None and known.until > at:
            return known.actor
        try:
            found, checked = self._keys.actor(text, self._clock()), at
        except StoreError:
            if known is None or known.actor is None or at - known.checked > BELIEVED_AWAY_SECONDS:
                raise
            found, checked = known.actor, known.checked
        with self._turn:
            if len(self._believed) >= _REMEMBERED:
                self._believed = {}
            self._believed[text] = _Belief(at + BELIEVED_SECONDS, checked, found)
        return found
