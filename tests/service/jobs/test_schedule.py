"""What is due is asked for once in its slot, and a model whose last tick still runs is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pitstop.service.jobs.board import Board, Job
from pitstop.service.jobs.schedule import due
from pitstop.service.workspace import Workspace

HOUR = 3_600_000_000


class Shelf:
    """Takes jobs as `Jobs` does, and lets them lie."""

    def __init__(self, workspace: Workspace) -> None:
        self.board = Board(workspace.fleet)

    def submit(self, kind: str, model: str, arguments: Any, *, by: str, name: str, at: int) -> Job:
        self.board.add(name, kind, model, arguments, by, at)
        return self.board.job(name)


def test_a_slot_has_one_job_and_a_busy_model_is_left_alone(tmp_path: Path, loans: Path) -> None:
    text = (loans / "pitstop.toml").read_text(encoding="utf-8")
    with Workspace.open(tmp_path / "w") as workspace:
        workspace.register(text, at=1, source=str(loans / "loans.csv"), every_seconds=3_600)
        workspace.register(text.replace("loans", "empty"), at=1, every_seconds=3_600)
        shelf: Any = Shelf(workspace)
        first = due(workspace, shelf, 10 * HOUR)
        assert first == ("tick-loans-3600-10",)
        assert due(workspace, shelf, 10 * HOUR + 5) == ()
        assert due(workspace, shelf, 11 * HOUR) == ()
        shelf.board.ended(first[0], "done", {}, 11 * HOUR)
        assert due(workspace, shelf, 10 * HOUR + 5) == ()
        assert due(workspace, shelf, 12 * HOUR) == ("tick-loans-3600-12",)
        assert shelf.board.jobs()[0].arguments == {"now": 12 * HOUR}
        assert shelf.board.counts() == {("tick", "done"): 1, ("tick", "queued"): 1}
