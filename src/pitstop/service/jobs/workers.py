"""The workers of a fleet: which ones live, and what they fail at. Each says so every few seconds."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass

import sqlalchemy as sa

from pitstop.service.fleet import FLEET, Fleet

BEAT_SECONDS = 3.0
# A worker that has said nothing for so long is taken for dead. If it lives after all, a job may be tried twice at a
# time, which jobs bear: the lock of a home lets one of them wait, and an order is carried out once.
LOST_SECONDS = 20.0
_WORKERS = FLEET.tables["workers"]


@dataclass(frozen=True)
class Worker:
    """A worker: since when it works, when it was seen last (microseconds), and its problem, empty for none."""

    name: str
    at: int
    seen: int
    problem: str


class Workers:
    """What the workers of a fleet say of themselves. Every instant is an argument, in microseconds."""

    def __init__(self, fleet: Fleet, lost: float = LOST_SECONDS) -> None:
        self._fleet = fleet
        self._lost = int(lost * 1_000_000)

    def seen(self, name: str, at: int, problem: str) -> None:
        """Say that a worker lives, and what it fails at."""
        mine = _WORKERS.c.name == name
        with self._fleet.write() as connection:
            changed = connection.execute(_WORKERS.update().where(mine).values(seen=at, problem=problem))
            if not changed.rowcount:
                connection.execute(_WORKERS.insert(), {"name": name, "at": at, "seen": at, "problem": problem})
                long_ago = _WORKERS.c.seen < at - 100 * self._lost
                connection.execute(_WORKERS.delete().where(long_ago))

    def gone(self, name: str) -> None:
        """Say that a worker has ended in order."""
        with self._fleet.write() as connection:
            connection.execute(_WORKERS.delete().where(_WORKERS.c.name == name))

    def all(self, at: int) -> tuple[Worker, ...]:
        """Return the workers that live, by name."""
        query = sa.select(_WORKERS).where(_WORKERS.c.seen > at - self._lost).order_by(_WORKERS.c.name)
        with self._fleet.read() as connection:
            return tuple(Worker(row.name, row.at, row.seen, row.problem) for row in connection.execute(query))

    def alive(self, at: int) -> set[str]:
        """Return the names of the workers that live."""
        return {worker.name for worker in self.all(at)}


def new_name() -> str:
    """Return a name that no other worker has."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
