"""Kill -9 of the process that works, at any point: the work goes on in the next one, and nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import PLACES

from pitstop.integrations.serving import run
from pitstop.records.spec import load_spec
from pitstop.service.jobs.attempt import attempt
from pitstop.service.jobs.board import Board, Job
from pitstop.service.jobs.queue import Jobs
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home

LONG_AGO = 1
PATIENT = 300.0  # seconds; a busy machine takes its time
LATE = 1_720_569_600_000_000  # 2024-07-10, in the last but one week of the history
WORKER = """
import sys, time
from pitstop.service.jobs.queue import Jobs
from pitstop.service.workspace import Workspace
jobs = Jobs(Workspace.open(sys.argv[1]), first_pause=0.2, polling=0.1, lost=1.5)
jobs.start()
while any(not job.ended for job in jobs.board.jobs()):
    time.sleep(0.05)
jobs.close()
"""
ORDER = {"action": "retrain", "by": "ann", "reason": "a test", "recorded": "now", "recipe": "all", "version": None}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> str:
    """Run every test of this module on both catalogs."""
    return str(request.param)


@pytest.fixture
def workspace(workspace_folder: Path, loans: Path) -> Iterator[Workspace]:
    with Workspace.open(workspace_folder) as made:
        text = (loans / "pitstop.toml").read_text(encoding="utf-8")
        made.register(text, at=LONG_AGO, source=str(loans / "loans.csv"))
        yield made


def started(workspace: Workspace) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", WORKER, str(workspace.path)], env=environment)


def story(home: Path) -> list[tuple[str, str]]:
    """Return kind and id of every artifact: they digest all that was knowable, so the same work says the same."""
    with Home.open(home, read_only=True) as kept:
        return [(item.kind, item.id) for item in kept.artifacts(model="loans")]


def killed_until_it_ends(workspace: Workspace, board: Board, draw: random.Random, times: int) -> None:
    """Kill the worker at random moments, `times` times, and then let it end."""
    kills = 0
    while board.jobs(open_only=True):
        worker = started(workspace)
        try:
            # Some die while they start, some in the middle of a window, some between two steps of a job.
            worker.wait(draw.uniform(0.2, 5.0) if kills < times else PATIENT)
        except subprocess.TimeoutExpired:
            kills += 1
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert kills <= times, "the work did not end by itself"
    assert kills > 0


@pytest.mark.slow
def test_work_that_is_killed_again_and_again_ends_as_if_it_never_was(
    workspace: Workspace, loans: Path, tmp_path: Path
) -> None:
    undisturbed = tmp_path / "undisturbed"
    run(
        undisturbed,
        spec=load_spec(loans / "pitstop.toml"),
        source=str(loans / "loans.csv"),
        base=loans,
        as_of="2024-07-10",
    )
    board, draw = Board(workspace.fleet), random.Random(7)
    board.add("tick-1", "tick", "loans", {"now": LATE}, "ann", LONG_AGO)
    killed_until_it_ends(workspace, board, draw, 6)
    board.add("order-1", "order", "loans", ORDER, "ann", LONG_AGO)
    killed_until_it_ends(workspace, board, draw, 4)
    outcomes = [job.outcome for job in board.jobs()]
    assert {job.id: job.state for job in board.jobs()} == {"tick-1": "done", "order-1": "done"}, outcomes
    home = workspace.home("loans")
    found = story(home)
    expected = story(undisturbed)
    assert found[: len(expected)] == expected
    assert [kind for kind, _ in found[len(expected) :]].count("order") == 1
    assert len(set(found)) == len(found)
    with Home.open(home, create=False) as kept:
        assert kept.verify(rows=True).ok


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder"])
def test_an_order_that_stands_is_not_given_again(workspace: Workspace, loans: Path) -> None:
    """The process dies after the commit, before anybody heard of it."""
    model = workspace.model("loans")
    run(model.home, spec=model.spec, source=model.source, base=loans, as_of="2024-05-15")
    asked = {"id": "order-1", "kind": "order", "model": "loans", "arguments": ORDER}
    first = attempt(workspace.path, asked, PATIENT, lambda *_: False)
    assert (first["end"], first["outcome"]["already"]) == ("done", False)
    before = story(model.home)
    again = attempt(workspace.path, asked, PATIENT, lambda *_: False)
    assert (again["outcome"]["already"], again["outcome"]["order"]) == (True, first["outcome"]["order"])
    assert story(model.home) == before


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder"])
def test_a_try_is_stopped_refused_or_tried_again(workspace: Workspace) -> None:
    asked = {"id": "t", "kind": "tick", "model": "loans", "arguments": {"now": LATE}}
    slow = attempt(workspace.path, asked, 0.5, lambda *_: False)
    assert slow["outcome"]["error"] == "Timeout"
    assert attempt(workspace.path, asked, PATIENT, lambda *_: True)["end"] == "cancelled"
    early = attempt(workspace.path, asked | {"kind": "order", "arguments": ORDER}, PATIENT, lambda *_: False)
    assert (early["end"], early["outcome"]["error"]) == ("failed", "StoreError")
    broken = attempt(workspace.path, asked | {"arguments": {}}, PATIENT, lambda *_: False)
    assert (broken["end"], broken["outcome"]["error"]) == ("again", "Crash")
    assert "KeyError" in broken["outcome"]["message"]
    with Home.open(workspace.home("loans")):
        busy = attempt(workspace.path, asked, PATIENT, lambda *_: False)
    assert (busy["end"], busy["outcome"]["error"]) == ("again", "StoreBusyError")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder"])
def test_a_job_whose_process_cannot_be_begun_is_tried_again_and_ends(workspace: Workspace) -> None:
    ended: list[Job] = []

    def around(job: Job, number: int, do: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        del job, do
        msg = f"try {number}: no memory for another process"
        raise OSError(msg)

    jobs = Jobs(workspace, then=ended.append, first_pause=0.01, polling=0.05, tries=2, around=around)
    jobs.start()
    try:
        jobs.submit("tick", "loans", {"now": LATE}, by="ann", name="unlucky")
        until = time.monotonic() + 60
        while not ended and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        jobs.close()
    assert [(job.state, job.tries) for job in ended] == [("failed", 2)]
    assert ended[0].outcome == {"error": "OSError", "message": "try 2: no memory for another process"}


@pytest.mark.slow
def test_jobs_wait_are_cancelled_tried_again_and_told_of(workspace: Workspace) -> None:
    ended: list[Job] = []
    jobs = Jobs(workspace, then=ended.append, first_pause=0.01, polling=0.05, tries=2)
    jobs.start()
    try:
        first = jobs.submit("tick", "loans", {}, by="ann", name="broken")  # its arguments make its process crash
        assert jobs.submit("tick", "loans", {"now": LATE}, by="bob", name="broken") == jobs.board.job(first.id)
        jobs.submit("tick", "loans", {"now": LATE}, by="ann", name="unwanted")
        jobs.cancel("unwanted", "bob")
        until = time.monotonic() + PATIENT
        while len(ended) < 2 and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        jobs.close()
    assert [(job.id, job.state, job.tries) for job in ended] == [("broken", "failed", 2), ("unwanted", "cancelled", 0)]
    assert jobs.board.jobs(open_only=True) == ()
    assert [job.id for job in jobs.board.jobs(before=2)] == ["broken"]
