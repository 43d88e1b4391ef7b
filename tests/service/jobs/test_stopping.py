"""A service that is stopped in order cuts a try off, and the next one does it to its end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pitstop.service.jobs.queue import Jobs
from pitstop.service.workspace import Workspace

LATE = 1_720_569_600_000_000


@pytest.mark.slow
def test_a_job_that_was_cut_off_by_a_stop_ends_after_the_next_start(tmp_path: Path, loans: Path) -> None:
    with Workspace.open(tmp_path / "w") as workspace:
        text = (loans / "pitstop.toml").read_text(encoding="utf-8")
        workspace.register(text, at=1, source=str(loans / "loans.csv"))
        states = []
        for patience in (0.0, 300.0):
            jobs = Jobs(workspace, first_pause=0.1, polling=0.05)
            jobs.start()
            jobs.submit("tick", "loans", {"now": LATE}, by="ann", name="tick-1", at=1)
            until = time.monotonic() + 60
            while jobs.board.job("tick-1").state == "queued" and time.monotonic() < until:
                time.sleep(0.02)
            until = time.monotonic() + patience
            while jobs.board.job("tick-1").ended is None and time.monotonic() < until:
                time.sleep(0.05)
            jobs.close()
            states.append(jobs.board.job("tick-1").state)
        assert states == ["running", "done"]
