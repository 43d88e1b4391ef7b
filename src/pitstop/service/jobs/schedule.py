"""Every model's tick when it is due. A slot has one name, so that however often it is asked for there is one job."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pitstop.errors import PitstopError
from pitstop.service.jobs.asking import Asking
from pitstop.service.jobs.rows import has_rows
from pitstop.service.workspace import Workspace

SCHEDULE = "schedule"
_LOOK_SECONDS = 5.0
_LOG = logging.getLogger(__name__)


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


class Schedule:
    """A thread that asks for what is due every few seconds; a context manager."""

    def __init__(self, workspace: Workspace, jobs: Asking, clock: Callable[[], int]) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(workspace, jobs, clock), name="schedule", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self, workspace: Workspace, jobs: Asking, clock: Callable[[], int]) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                due(workspace, jobs, clock())
            except PitstopError:
                # A full disk, say: the log tells, /readyz says so, and the next look may find it mended.
                _LOG.exception("the schedule could not be looked at")
