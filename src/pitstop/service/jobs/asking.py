"""Asks for jobs. A worker, here or in another process, finds them on the board and does them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from pitstop.service.auth.credentials import now
from pitstop.service.fleet import Fleet
from pitstop.service.jobs.board import Board, Job


class Asking:
    """The jobs of a fleet, for whoever asks for some and looks at them."""

    def __init__(self, fleet: Fleet) -> None:
        self.board = Board(fleet)

    def submit(
        self, kind: str, model: str, arguments: Mapping[str, Any], *, by: str, name: str = "", at: int | None = None
    ) -> Job:
        """Take a job, durably, and return it; a name that is known already is that job, and no other is made."""
        known = name or f"{kind}-{uuid.uuid4().hex}"
        self.board.add(known, kind, model, arguments, by, now() if at is None else at)
        return self.board.job(known)

    def cancel(self, name: str, by: str) -> Job:
        """Stop a job: one that waits does not begin, one that runs is stopped at its next look. What it did is kept."""
        return self.board.cancel(name, by)
