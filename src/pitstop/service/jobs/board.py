"""The board of jobs: what was asked for, by whom, how far it has come, and what came of it.

What makes a job go on after a crash is DBOS (see `jobs.queue`); the board is what people and programs read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from pitstop.errors import UnknownNameError
from pitstop.service.fleet import FLEET, Fleet

JobState = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
_JOBS = FLEET.tables["jobs"]


@dataclass(frozen=True)
class Job:
    """One job. Instants are microseconds; `done` of `total` steps, 0 of 0 where that is not known."""

    number: int
    id: str
    kind: str
    model: str
    arguments: Mapping[str, Any]
    by: str
    at: int
    state: JobState
    tries: int
    note: str
    done: int
    total: int
    cancelled_by: str | None
    ended: int | None
    outcome: Mapping[str, Any] | None


class Board:
    """The jobs of a fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def add(self, name: str, kind: str, model: str, arguments: Mapping[str, Any], by: str, at: int) -> bool:
        """Put a job on the board; return whether it is new. A job of that id is left as it is."""
        row = {"id": name, "kind": kind, "model": model, "arguments": json.dumps(arguments), "by": by, "at": at}
        fresh = {"state": "queued", "tries": 0, "note": "", "done": 0, "total": 0}
        with self._fleet.write() as connection:
            if connection.execute(sa.select(_JOBS.c.id).where(_JOBS.c.id == name)).first() is not None:
                return False
            connection.execute(_JOBS.insert(), row | fresh)
        return True

    def job(self, name: str) -> Job:
        """Return one job. Raises `UnknownNameError`."""
        with self._fleet.read() as connection:
            row = connection.execute(sa.select(_JOBS).where(_JOBS.c.id == name)).one_or_none()
        if row is None:
            msg = f"there is no job {name[:200]!r}"
            raise UnknownNameError(msg)
        return _job(row)

    def known(self, name: str) -> bool:
        """Return whether there is a job of that id."""
        with self._fleet.read() as connection:
            return connection.execute(sa.select(_JOBS.c.id).where(_JOBS.c.id == name)).first() is not None

    def jobs(
        self,
        *,
        models: frozenset[str] | None = None,
        before: int | None = None,
        limit: int = 50,
        open_only: bool = False,
    ) -> tuple[Job, ...]:
        """Return jobs, the newest first: of these models only, with a number below `before`, not ended."""
        query = sa.select(_JOBS).order_by(_JOBS.c.number.desc()).limit(limit)
        if models is not None:
            query = query.where(_JOBS.c.model.in_(sorted(models)))
        if before is not None:
            query = query.where(_JOBS.c.number < before)
        if open_only:
            query = query.where(_JOBS.c.state.not_in(ENDED))
        with self._fleet.read() as connection:
            return tuple(_job(row) for row in connection.execute(query))

    def begun(self, name: str, tries: int) -> None:
        """Say that a job runs, for the `tries`-th time."""
        self._set(name, state="running", tries=tries)

    def progress(self, name: str, note: str, done: int, total: int) -> bool:
        """Say how far a job has come; return whether it is to be stopped."""
        self._set(name, note=note, done=done, total=total)
        return self.cancelled(name)

    def waiting(self, name: str, note: str) -> None:
        """Say what a job waits for."""
        self._set(name, state="waiting", note=note)

    def ended(self, name: str, state: JobState, outcome: Mapping[str, Any], at: int) -> None:
        """Say what came of a job."""
        self._set(name, state=state, outcome=json.dumps(outcome), ended=at)

    def cancel(self, name: str, by: str) -> Job:
        """Ask a job to stop; one that has ended is left as it is. Raises `UnknownNameError`."""
        self._set(name, cancelled_by=by)
        return self.job(name)

    def cancelled(self, name: str) -> bool:
        """Return whether somebody asked a job to stop."""
        with self._fleet.read() as connection:
            found = connection.execute(sa.select(_JOBS.c.cancelled_by).where(_JOBS.c.id == name)).scalar_one_or_none()
        return found is not None

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are of each kind and state."""
        query = sa.select(_JOBS.c.kind, _JOBS.c.state, sa.func.count()).group_by(_JOBS.c.kind, _JOBS.c.state)
        with self._fleet.read() as connection:
            return {(kind, state): count for kind, state, count in connection.execute(query)}

    def _set(self, name: str, **values: Any) -> None:
        with self._fleet.write() as connection:
            there = (_JOBS.c.id == name) & _JOBS.c.state.not_in(ENDED)
            connection.execute(_JOBS.update().where(there).values(**values))


def _job(row: sa.Row[Any]) -> Job:
    values = dict(row._mapping)  # noqa: SLF001 - the public name of a row's mapping
    outcome = values["outcome"]
    return Job(
        **{
            **values,
            "arguments": json.loads(values["arguments"]),
            "outcome": None if outcome is None else json.loads(outcome),
        }
    )
