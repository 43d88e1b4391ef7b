"""Every model's tick when it is due. A slot has one name, so that however often it is asked for there is one job."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pitstop.service.jobs.asking import Asking
from pitstop.service.jobs.rows import has_rows
from pitstop.service.looking import Looking
from pitstop.service.workspace import Workspace

SCHEDULE = "schedule"
_LOOK_SECONDS = 5.0


def due(workspace: Workspace, jobs: Asking, at: int) -> tuple[str, ...]:
    """Ask for the tick of every model for the slot that `at` (microseconds) is in; return the jobs that are new.

    A model whose last tick has not ended is left to it: slots that pass meanwhile are made up by the next one, which
    takes in everything that is due.
    """
    busy = {job.model for job in jobs.board.jobs(limit=10_000, open_only=True) if job.kind == "tick"}
    made = []
    for model in workspace.models():
        slot = at // (model.every_seconds * 1_000_000)
        name = f"tick-{model.name}-{model.every_seconds}-{slot}"
        if model.name not in busy and has_rows(workspace, model) and not jobs.board.known(name):
            jobs.submit("tick", model.name, {"now": at}, by=SCHEDULE, name=name, at=at)
            made.append(name)
    return tuple(made)


class Schedule(Looking):
    """Its thread asks for what is due every few seconds."""

    def __init__(self, workspace: Workspace, jobs: Asking, clock: Callable[[], int]) -> None:
        super().__init__("schedule", _LOOK_SECONDS)
        self._due = partial(due, workspace, jobs)
        self._clock = clock

    def look(self) -> None:
        """Ask for what is due."""
        self._due(self._clock())
