"""The trainings that other systems were asked for: where each stands, and the files that they are given and bring.

asked       the request is still to be taken by the other system, or was taken: what is brought is welcome
answered    something was brought, and is being checked by a job
taken       a model was brought, and is a challenger
failed      what was brought cannot be used
late        nothing was brought in time
cancelled   somebody cancelled the order's job
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from pitstop.errors import UnknownNameError
from pitstop.service.fleet import FLEET
from pitstop.service.workspace import Workspace
from pitstop.store.disk import disk_errors
from pitstop.store.files import make_folder, sync_folder

TrainingState = Literal["asked", "answered", "taken", "failed", "late", "cancelled"]
Part = Literal["training", "held_out"]
What = Literal["model", "predictions"]
FOLDER = "trainings"
# What is said of a training that was cancelled because of this.
ERASED = "rows of it were erased on request; order another one"
_TRAININGS = FLEET.tables["trainings"]


@dataclass(frozen=True)
class Asked:
    """One training. Instants are microseconds; `facts` is what the other system is told.

    `sent` is when it took the request, None before, `ended` when all was over. `said` is what went wrong last. `what`,
    `digest`, `by` and `login` are of the delivery that is being checked, `predictions` is the digest of those that were
    taken in.
    """

    id: str
    model: str
    job: str
    facts: Mapping[str, Any]
    state: TrainingState
    at: int
    deadline: int
    tries: int
    due: int
    sent: int | None
    said: str
    what: str
    digest: str
    by: str
    login: str
    predictions: str
    ended: int | None


class Trainings:
    """The trainings of a workspace, for use by several threads and processes."""

    def __init__(self, workspace: Workspace) -> None:
        self._fleet = workspace.fleet
        self._root = workspace.path / FOLDER

    def folder(self, name: str) -> Path:
        """Return the folder of a training, by a name of ours: that of its order's job before it has an id."""
        return self._root / name

    def add(self, name: str, model: str, job: str, facts: Mapping[str, Any], at: int, deadline: int) -> None:
        """Write a training down; one that is there already is left as it is."""
        row = {"id": name, "model": model, "job": job, "facts": json.dumps(facts), "state": "asked", "at": at}
        fresh = {"deadline": deadline, "tries": 0, "due": at, "sent": None, "said": "", "what": "", "digest": ""}
        with self._fleet.write() as connection:
            if connection.execute(sa.select(_TRAININGS.c.id).where(_TRAININGS.c.id == name)).first() is None:
                connection.execute(
                    _TRAININGS.insert(), {**row, **fresh, "by": "", "login": "", "predictions": "", "ended": None}
                )

    def training(self, name: str, model: str) -> Asked:
        """Return a training of a model. Raises `UnknownNameError`, also where it is another model's."""
        with self._fleet.read() as connection:
            there = (_TRAININGS.c.id == name) & (_TRAININGS.c.model == model)
            row = connection.execute(sa.select(_TRAININGS).where(there)).one_or_none()
        if row is None:
            msg = f"nobody was asked for the training {name[:100]!r} of {model}"
            raise UnknownNameError(msg)
        return _asked(row)

    def all(self, model: str = "", *, open_only: bool = False) -> tuple[Asked, ...]:
        """Return trainings, the oldest first."""
        query = sa.select(_TRAININGS).order_by(_TRAININGS.c.at, _TRAININGS.c.id)
        if model:
            query = query.where(_TRAININGS.c.model == model)
        if open_only:
            query = query.where(_TRAININGS.c.ended.is_(None))
        with self._fleet.read() as connection:
            return tuple(_asked(row) for row in connection.execute(query))

    def lease(self, name: str, at: int, until: int) -> bool:
        """Take the sending of a request over until `until`; return False where another process has it."""
        here = (_TRAININGS.c.id == name) & (_TRAININGS.c.state == "asked") & _TRAININGS.c.sent.is_(None)
        change = _TRAININGS.update().where(here & (_TRAININGS.c.due <= at))
        with self._fleet.write() as connection:
            done = connection.execute(change.values(due=until, tries=_TRAININGS.c.tries + 1))
            return done.rowcount == 1

    def set(self, name: str, **values: Any) -> None:
        """Write down how the sending went, or that all is over."""
        with self._fleet.write() as connection:
            connection.execute(_TRAININGS.update().where(_TRAININGS.c.id == name).values(**values))

    def move(self, name: str, before: TrainingState, after: TrainingState, **values: Any) -> bool:
        """Bring a training from one state to another; return False where it is not in it any more."""
        here = (_TRAININGS.c.id == name) & (_TRAININGS.c.state == before)
        with self._fleet.write() as connection:
            done = connection.execute(_TRAININGS.update().where(here).values(state=after, **values))
            return done.rowcount == 1

    def put(self, folder: str, name: str, content: bytes) -> Path:
        """Put a file into a training's folder, whole and durable. Raises `StoreError`."""
        place = self.folder(folder)
        target, part = place / name, place / f".{name}.{os.getpid()}.part"
        with disk_errors("keep a file of a training", place):
            for changed in make_folder(place):
                sync_folder(changed)
            try:
                with part.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            sync_folder(place)
        return target

    def clear(self, folder: str) -> None:
        """Delete the files of a training that has ended: they are copies of people's rows."""
        shutil.rmtree(self.folder(folder), ignore_errors=True)


def _asked(row: sa.Row[Any]) -> Asked:
    values = dict(row._mapping)  # noqa: SLF001 - the public name of a row's mapping
    return Asked(**{**values, "facts": json.loads(values["facts"])})
