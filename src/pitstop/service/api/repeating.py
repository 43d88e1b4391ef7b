"""Idempotency-Key: a request that is sent again, after a timeout say, is answered as it was and does nothing twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import sqlalchemy as sa
from starlette.responses import Response

from pitstop.errors import PitstopError
from pitstop.service.fleet import FLEET, Fleet
from pitstop.service.problems import problem, problem_of

KEPT_MICROSECONDS = 24 * 3_600 * 1_000_000
# A request that began this long ago and never ended was cut off by a crash, and may be sent again.
_LOST_MICROSECONDS = 10 * 60 * 1_000_000
_REQUESTS = FLEET.tables["requests"]


class Repeats:
    """Remembers answers for a day, by whoever asked and their key."""

    def __init__(self, fleet: Fleet, clock: Callable[[], int]) -> None:
        self._fleet = fleet
        self._clock = clock

    def once(self, key: str, fingerprint: str, answer: Callable[[], Response], *, secret: bool = False) -> Response:
        """Return what `answer` returns, or what it returned before for the same key.

        Answers that say that the service is at fault (500 and above) are not kept: the next try is a try. An answer
        that holds a `secret` is not kept either, and is refused the second time: nothing is done twice all the same.
        """
        digest = hashlib.sha256(key.encode()).hexdigest()
        known = self._begin(digest, fingerprint)
        if known is not None:
            return known
        try:
            found = answer()
        except PitstopError as error:
            found = problem_of(error)
        except BaseException:
            self._forget(digest)
            raise
        if found.status_code >= 500:
            self._forget(digest)
        else:
            body = "" if secret and found.status_code < 400 else bytes(found.body).decode()
            with self._fleet.write() as connection:
                row = _REQUESTS.update().where(_REQUESTS.c.digest == digest)
                connection.execute(row.values(status=found.status_code, body=body))
        return found

    def _begin(self, digest: str, fingerprint: str) -> Response | None:
        at = self._clock()
        lost = _REQUESTS.c.status.is_(None) & (_REQUESTS.c.at < at - _LOST_MICROSECONDS)
        with self._fleet.write() as connection:
            connection.execute(_REQUESTS.delete().where((_REQUESTS.c.at < at - KEPT_MICROSECONDS) | lost))
            row = connection.execute(sa.select(_REQUESTS).where(_REQUESTS.c.digest == digest)).one_or_none()
            if row is None:
                fresh = {"digest": digest, "fingerprint": fingerprint, "status": None, "body": None, "at": at}
                connection.execute(_REQUESTS.insert(), fresh)
                return None
        if row.fingerprint != fingerprint:
            return problem(409, "this Idempotency-Key was used for another request; take a new one")
        if row.status is None:
            return problem(409, "the first request with this Idempotency-Key is still being answered; ask again later")
        if row.body == "":
            return problem(409, "this was done; its answer held a secret, which is shown once and kept nowhere")
        media = "application/json" if row.status < 400 else "application/problem+json"
        return Response(row.body, row.status, {"Idempotent-Replayed": "true"}, media)

    def _forget(self, digest: str) -> None:
        with self._fleet.write() as connection:
            connection.execute(_REQUESTS.delete().where(_REQUESTS.c.digest == digest))
