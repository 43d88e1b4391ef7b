"""Slows guessing down: after five wrong passwords for a name, each further one has to wait twice as long.

What was guessed is counted in the catalog of the service, for all of its processes together.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from pitstop.service.fleet import FLEET, Fleet

FREE = 5
_SECOND = 1_000_000
_LONGEST_SECONDS = 900
# Whoever has not failed for this long begins anew; nothing older is kept.
_REMEMBERED = 24 * 3_600 * _SECOND
# Somebody who tries a hundred thousand names forgets the first of them.
_MOST = 100_000
_GUESSES = FLEET.tables["guesses"]


class Throttle:
    """Counts failures by name. Instants are microseconds."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def attempt(self, name: str, at: int) -> float:
        """Return how many seconds `name` has to wait before another try; where it is 0, this try is counted as failed.

        Counted before it is looked at: many guesses that are sent at once, to whichever process, are many guesses.
        """
        digest = _digest(name)
        with self._fleet.write() as connection:
            row = connection.execute(sa.select(_GUESSES).where(_GUESSES.c.digest == digest)).one_or_none()
            # A clock that was set back must not lock anybody out for longer than the longest pause.
            if row is not None and at < row.until <= at + _LONGEST_SECONDS * _SECOND:
                return float((row.until - at) / _SECOND)
            count = row.failures + 1 if row is not None else 1
            pause = min(2 ** min(count - FREE, 20), _LONGEST_SECONDS) if count >= FREE else 0
            over = (_GUESSES.c.digest == digest) | (_GUESSES.c.at < at - _REMEMBERED)
            connection.execute(_GUESSES.delete().where(over))
            kept = connection.execute(sa.select(sa.func.count()).select_from(_GUESSES)).scalar_one()
            if kept >= _MOST:
                oldest = sa.select(_GUESSES.c.digest).order_by(_GUESSES.c.at).limit(kept - _MOST + 1)
                connection.execute(_GUESSES.delete().where(_GUESSES.c.digest.in_(oldest)))
            fresh = {"digest": digest, "failures": count, "until": at + pause * _SECOND, "at": at}
            connection.execute(_GUESSES.insert(), fresh)
        return 0.0

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        with self._fleet.write() as connection:
            connection.execute(_GUESSES.delete().where(_GUESSES.c.digest == _digest(name)))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="replace")).hexdigest()
